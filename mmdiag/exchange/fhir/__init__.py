"""FHIR exports turned into cohort folders."""
