"""Pretraining without labels, on subjects that are not held out: masked images, masked language,
and modalities aligned by contrast.
"""
