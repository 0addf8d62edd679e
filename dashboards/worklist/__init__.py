"""What the model in use has scored of a cohort: the list, its order, its filters and its rows."""
