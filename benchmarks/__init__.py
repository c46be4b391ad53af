"""Measurements, never assertions: ``python -m benchmarks.training`` and so on; see README.md."""
