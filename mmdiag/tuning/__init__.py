"""Hyperparameter search inside the training subjects."""
