"""The audit: its chain, its head outside the database, and what it says of a batch."""
