"""Ingestion: plan what is new, read it, write it shard by shard, commit."""
