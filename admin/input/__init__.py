"""Reads and checks people's files: campaigns, leads, letters. Every error names file, line and field."""
