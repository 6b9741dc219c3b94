"""Predicting: an image in, a mask and the model's own words out. No text and no true mask comes in here."""

from lexiseg.inference.predictor import Predictor
from lexiseg.inference.result import Prediction, RetrievedWord

__all__ = ["Prediction", "Predictor", "RetrievedWord"]
