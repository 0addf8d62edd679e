"""What each kind of modality does on its way from the store to a network."""
