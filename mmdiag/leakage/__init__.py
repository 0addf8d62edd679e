"""What a cohort gives away as a whole: labels in inputs, duplicates over subjects, absence that
tells.
"""
