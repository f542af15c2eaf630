"""E-mail only: addresses, templates, messages, SMTP and IMAP conversations. No database, no broker."""
