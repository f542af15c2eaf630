"""Read models for pages, API, commands and metrics, read from the same rows that the sender uses."""
