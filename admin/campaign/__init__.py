"""`python -m admin campaign`: one file per command or group of commands, and how leads files are brought in."""
