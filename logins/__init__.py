"""How a mailbox logs in to its mail servers: its passwords and tokens in clear, and whether they work."""
