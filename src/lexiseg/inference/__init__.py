"""Predicting: an image in, a mask and the model's own words out. Nothing here can see text or reference masks."""

from lexiseg.inference.predictor import Predictor
from lexiseg.inference.result import Prediction, RetrievedWord

__all__ = ["Prediction", "Predictor", "RetrievedWord"]
