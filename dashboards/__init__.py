"""The dashboard: reads what was published, never imports torch."""
