"""The record of who did what: the audit, models in use, reviews, and labels that came later."""
