"""What an ensemble is given: all features of a modality in named blocks, terms of notes hashed."""
