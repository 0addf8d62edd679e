"""Event tables of a data warehouse: who had what, when, and with which value."""
