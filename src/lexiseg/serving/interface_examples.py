"""Examples of answers in the description of the interface; a test checks them against the records."""

from __future__ import annotations

from typing import Any

# A PNG of one grey pixel.
_PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg=="
_MODEL = {"name": "covid-xray", "version": "9f2c" + 60 * "0", "lexiseg_version": "0.1.0"}
_OUTLINES = [
    {
        "label": 1,
        "name": "infection",
        "polygons": [[[40.5, 90.0], [61.0, 90.5], [60.5, 120.0], [40.5, 90.0]]],
        "regions": 1,
    }
]
_PREDICTION = {
    "status": "done",
    "name": "chest.png",
    "size": [224, 224],
    "classes": ["background", "infection"],
    "mask": _PNG,
    "outlines": _OUTLINES,
    "preview": None,
    "words": [
        {
            "factor": "left",
            "title": "left lung",
            "index": 1,
            "phrase": "lower left lung",
            "confidence": 0.83,
            "runners_up": [["middle lower left lung", 0.11]],
            "probabilities": [0.02, 0.83, 0.11, 0.04],
        }
    ],
    "measured": {"left": "lower left lung"},
    "agreement": 1.0,
    "flagged": False,
    "reasons": [],
    "expected_dice": 0.81,
    "unlike_training_images": [],
    "area_px": {"infection": 311},
    "area_mm2": None,
    "side": "image",
    "exif_orientation": 1,
    "dicom": None,
    "assumptions": [],
    "engine": "onnx 1.20.0, fp32 on cpu",
    "exact": None,
}
_JOB = {
    "id": "3f0c9d0a6f6b4a52",
    "state": "running",
    "model": _MODEL,
    "formats": ["mask", "seg"],
    "created": "2026-01-31T09:00:00+00:00",
    "images": 200,
    "notes": ["Files of a.zip that are not read because of their ending: 1 .txt (such as notes.txt)."],
    "done": 57,
    "failed": 1,
    "flagged": 9,
    "slices": 240,
    "slices_done": 96,
    "bytes": None,
    "error": None,
    "expires": None,
}
_MODEL_RECORD = {
    "name": "covid-xray",
    "version": _MODEL["version"],
    "weights_sha256": "51d0" + 60 * "0",
    "loaded": "2026-01-31T08:59:00+00:00",
    "trained_with": "0.1.0",
    "is_default": True,
    "classes": ["background", "infection"],
    "image_size": 224,
    "fit": "stretch",
    "side": "image",
    "vocabulary": {
        "name": "chest",
        "title": "chest infection",
        "factors": [
            {
                "name": "left",
                "title": "left lung",
                "phrases": [
                    {"index": 0, "phrase": "upper left lung", "moves_mask": True, "has_zone": True},
                    {"index": 1, "phrase": "lower left lung", "moves_mask": True, "has_zone": True},
                ],
            }
        ],
    },
    "can_refine": True,
    "is_calibrated": True,
    "knows_training_images": True,
    "engine": "onnx 1.20.0, fp32 on cpu",
    "card": "# covid-xray",
}

#: An example per record, by the name of its class.
EXAMPLES: dict[str, dict[str, Any]] = {
    "PredictResponse": {"request_id": "a1b2c3", "model": _MODEL, "results": [_PREDICTION]},
    "PredictionAnswer": _PREDICTION,
    "FailedImage": {
        "status": "failed",
        "name": "notes.png",
        "error": {"code": "LEX-DATA-013", "message": "notes.png is not a readable image."},
    },
    "RefineResponse": {
        "request_id": "a1b2c4",
        "model": _MODEL,
        "prediction": _PREDICTION,
        "refined": {
            "mask": _PNG,
            "outlines": _OUTLINES,
            "preview_mask": None,
            "preview_outlines": None,
            "said": ["left: upper left lung"],
            "unread": [],
            "words": [
                {
                    "factor": "left",
                    "title": "left lung",
                    "index": 3,
                    "phrase": "upper left lung",
                    "said_by": "person",
                    "retrieved": "lower left lung",
                    "confidence": 0.04,
                }
            ],
            "measured": {"left": "upper left lung"},
            "agreement": 1.0,
            "overlap": 0.12,
            "flagged": False,
            "reasons": [],
            "expected_dice": 0.7,
            "area_px": {"infection": 280},
            "area_mm2": None,
            "files": [{"format": "seg", "name": "chest.dcm", "content": "RElDTQ=="}],
            "not_written": {"sr": "chest.dcm lacks what a report needs: no StudyInstanceUID."},
            "exact": None,
        },
    },
    "ModelsResponse": {"models": [_MODEL_RECORD]},
    "JobRecord": _JOB,
    "JobsResponse": {"jobs": [_JOB]},
    "HealthRecord": {"status": "ok", "version": "0.1.0"},
    "ReadyRecord": {
        "status": "ok",
        "version": "0.1.0",
        "models": [
            {
                "name": "covid-xray",
                "version": _MODEL["version"],
                "loaded": "2026-01-31T08:59:00+00:00",
                "problem": {
                    "code": "LEX-RUN-003",
                    "message": "The files of this model have changed and cannot be loaded. The model "
                    "that was loaded before answers. See the list of error codes for the cause, and "
                    "correct the run folder.",
                },
            }
        ],
        "tokens": None,
    },
    "RefusalRecord": {
        "error": {"code": "LEX-REQ-1107", "message": "64 images wait for this model already."},
        "request_id": "a1b2c5",
    },
}
