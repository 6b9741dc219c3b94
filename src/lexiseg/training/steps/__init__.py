"""The steps of a training and what happens around them.

`segmentation_module` is the step and the validation, `normalisation` what a network sees,
`progressive_resizing` the small images of a training's beginning, `whole_image_scores` the validation in
tiles and `validation_sizes` the lesion sizes by which it is standardised. `lightning_fit` runs the steps,
with the `callbacks` that stop, save and show, the `progress` so far and the `curve_loggers`.
"""
