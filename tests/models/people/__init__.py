"""Tests of models/people/."""
