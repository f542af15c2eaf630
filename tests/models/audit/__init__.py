"""Tests of models/audit/."""
