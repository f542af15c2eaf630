"""What comes back: which inboxes are read and how far, what was found there, and what follows from it."""
