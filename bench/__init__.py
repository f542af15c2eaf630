"""Benchmarks: how fast and punctual Punktual is, beside what people would build instead. See docs/performance.md."""
