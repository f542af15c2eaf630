"""Tests of models/store/."""
