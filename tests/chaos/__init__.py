"""The running product under random but repeatable faults, held in the end against the mail server's own log."""
