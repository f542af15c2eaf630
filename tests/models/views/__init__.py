"""Tests of models/views/."""
