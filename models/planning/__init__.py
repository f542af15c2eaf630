"""The planner's input, and writing its plan."""
