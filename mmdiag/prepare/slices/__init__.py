"""What is computed of an image's slices, without anything fitted."""
