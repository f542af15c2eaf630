"""Builds, starts and watches Punktual's processes."""
