"""What pages, API, commands and metrics show, read from the rows that the sender obeys."""
