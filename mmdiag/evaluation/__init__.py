"""Metrics with intervals, and differences on the same resamples."""
