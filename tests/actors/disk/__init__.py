"""Tests of actors/disk/."""
