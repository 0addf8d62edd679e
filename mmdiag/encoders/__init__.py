"""Encoders: from one modality's arrays to `Tokens`."""
