"""Refinement: a person says a right word, and the mask of a prediction follows, without training.

`lexiseg.refine` is a function of its own: prediction takes an image and nothing else.
"""
