"""Numbered, forward only, each safe beside the code that is running while it is applied."""
