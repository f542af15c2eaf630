"""The audit log: who ordered what, and its sentences."""
