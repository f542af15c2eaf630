"""What the planner looks at, and how its plan is written."""
