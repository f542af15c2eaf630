"""Tests of models/owner/."""
