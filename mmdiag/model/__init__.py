"""The network: encoders, fusion and task heads, and the losses it is trained on."""
