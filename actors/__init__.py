"""The pipeline: what processes do with a message, one file per stage."""
