"""The life of a model in use: what comes after it, and whether that takes its place."""
