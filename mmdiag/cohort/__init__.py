"""The cohort: its case table, its cases and labels, and which subjects train and which are held
out.
"""
