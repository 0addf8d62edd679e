"""What modalities add to an answer, alone and together."""
