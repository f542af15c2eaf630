"""Tests of models/inbox/."""
