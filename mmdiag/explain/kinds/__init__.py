"""How each kind of modality is explained, a module a kind."""
