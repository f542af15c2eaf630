"""Runs the product under random but repeatable faults, and compares the result with the mail server's log."""
