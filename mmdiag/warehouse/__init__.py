"""Event tables of a data warehouse as a cohort: what was known of each case before its date."""
