"""Tests of admin/campaign/."""
