"""Tests with several processes, real servers and real crashes."""
