"""Whether the rows are as they must be, and whether the parts that nobody waits for still run."""
