"""Commands that make and use models."""
