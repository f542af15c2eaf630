"""Invariants of the rows, and heartbeats of the background jobs."""
