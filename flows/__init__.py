"""Prefect flows: what mmdiag does, with retries, concurrency and schedules. Start with full.py."""
