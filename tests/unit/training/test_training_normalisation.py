from __future__ import annotations

import numpy as np
import torch

from lexiseg.inference import preprocess
from lexiseg.models.normalisation import IMAGENET
from lexiseg.training.steps import normalisation


def test_training_and_prediction_see_the_same_values() -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 9, 9, 3), dtype=np.uint8)
    tensor = torch.from_numpy(images).permute(0, 3, 1, 2)
    trained = normalisation.normalise(tensor, IMAGENET.mean, IMAGENET.std)
    predicted = preprocess.normalise(images, IMAGENET.mean, IMAGENET.std)
    assert predicted.dtype == np.float32
    assert np.array_equal(trained.numpy(), predicted)
    grey = normalisation.normalise(tensor[:, :1], IMAGENET.mean, IMAGENET.std)
    repeated = np.repeat(images[..., :1], 3, axis=3)
    assert np.array_equal(grey.numpy(), preprocess.normalise(repeated, IMAGENET.mean, IMAGENET.std))
