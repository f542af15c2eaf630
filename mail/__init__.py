"""E-mail and nothing else: addresses, rendering, messages, conversations with a server. No database, no broker."""
