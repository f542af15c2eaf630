"""One e-mail: its states and moves, its locks, gates and claim, and the proof of what became of it."""
