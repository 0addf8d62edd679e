"""Documents that carry a note (RTF, HTML, PDF, HL7 CDA, FHIR): the text that their own readers
show.
"""
