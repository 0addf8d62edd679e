"""FHIR exports brought to a cohort folder."""
