"""Work side by side: worker processes for pieces of a run, and one fit over several processes."""
