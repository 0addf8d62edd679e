"""The card of a model: what it learned from, how it was judged, and what it is not for."""
