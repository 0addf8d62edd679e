"""Embeddings of a cohort: how wide they are, and those of some cases."""
