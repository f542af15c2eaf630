"""What people hand in: campaigns, leads, letters, suppressions.

All of it is checked before it is written. Every error names file, line and field.
"""
