"""Readers: from a file to arrays and facts, or a `ReadError` with a reason code. They write nothing
and know no cohort.
"""
