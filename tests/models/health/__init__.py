"""Tests of models/health/."""
