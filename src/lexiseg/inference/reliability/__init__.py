"""How far a prediction can be relied on, without a true mask.

`calibration` holds the temperature and the rule that a run fitted on validation cases. `review` decides which
predictions a person should look at. `training_images` tells which images are unlike those of the training.
"""
