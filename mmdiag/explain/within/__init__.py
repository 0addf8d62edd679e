"""How what a modality adds to an answer is shared by what lies inside it."""
