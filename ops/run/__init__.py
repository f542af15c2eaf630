"""Starting, keeping and ending processes."""
