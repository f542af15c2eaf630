"""Tests of models/planning/."""
