"""Explanations within a modality: regions and words by occlusion, columns by gradient. Between
modalities: `mmdiag.inference.coalitions.shapley`.
"""
