"""Postgres: connections, tables, migrations, the installation's identity."""
