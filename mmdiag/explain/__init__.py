"""Explanations: between modalities (exact Shapley values) and within one (occlusion, gradients)."""
