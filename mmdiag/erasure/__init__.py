"""A person taken out of a workspace: of the record, of cohorts, runs, explanations and logs."""
