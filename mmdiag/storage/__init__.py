"""What is kept: the store of arrays and tables, and the ledger in SQL."""
