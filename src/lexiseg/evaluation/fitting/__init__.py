"""What is fitted to a run after its training.

`calibration` fits probabilities and the review flag, which the model card states (`card_review`).
`training_images` describes the images that the run learned from, so that others are noticed.
"""
