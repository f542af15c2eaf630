"""Tests of logins/."""
