"""Tests of the pages on which owners do what the commands do."""
