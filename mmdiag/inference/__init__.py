"""From a bundle and cases to predictions and the contribution of each modality."""
