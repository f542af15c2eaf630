"""People: leads, their columns and search, who must not be written to, and forgetting somebody for good."""
