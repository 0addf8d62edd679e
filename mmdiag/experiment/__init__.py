"""A run: its fits, their evaluation, and what is published."""
