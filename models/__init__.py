"""Postgres: tables, states, moves and migrations. The only place with SQL."""
