"""What the pages, the API and the metrics page answer."""
