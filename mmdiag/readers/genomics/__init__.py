"""Genomics: expression matrices, mutations and variants, and the names and sets of genes."""
