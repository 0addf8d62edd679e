"""Training by MONAI's engines: epochs, early stopping, checkpoints, several processes."""
