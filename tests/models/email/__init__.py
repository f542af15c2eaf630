"""Tests of models/email/."""
