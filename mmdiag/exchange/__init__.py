"""Exchange with other systems: FHIR exports, and images from and to a PACS."""
