"""Tests of actors/process/."""
