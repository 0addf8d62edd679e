"""Charts: DataFrame in, chart out, nothing else."""
