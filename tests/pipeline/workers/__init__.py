"""Workers with one thing about them changed from outside, each started in place of `actors.process.consume`."""
