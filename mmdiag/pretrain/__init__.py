"""Pretraining without labels, on subjects whom nothing is judged on: masked images, masked notes, and modalities brought together by contrast."""
