"""What this machine keeps on its own disk."""
