"""What people hand in: campaign files, leads, letters. Every refusal names file, line and field."""
