"""The status pages, the JSON API, health and the metrics that are read from rows."""
