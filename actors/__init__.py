"""The pipeline: what the workers do with a message, one file a stage."""
