"""Postgres: the database, its tables, its schema's migrations, and what a database is known by."""
