"""Results of images as texts of JSON, which are put together to an answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lexiseg.serving.records.common import ModelVersion
from lexiseg.serving.records.predictions import FailedImage, PredictionAnswer, PredictResponse


@dataclass(frozen=True, kw_only=True)
class EncodedResult:
    """The result of one image as it stands in an answer.

    It is encoded by the thread that makes the result: the processor still holds its numbers, and the loop,
    which all requests share, is free meanwhile.

    Attributes:
        text: JSON of the result.
        failed: Whether the image could not be predicted.
        flagged: Whether a person should look at the prediction.
    """

    text: str
    failed: bool
    flagged: bool

    @classmethod
    def of(cls, result: PredictionAnswer | FailedImage) -> EncodedResult:
        """Return a result encoded."""
        return cls(
            text=result.model_dump_json(),
            failed=isinstance(result, FailedImage),
            flagged=isinstance(result, PredictionAnswer) and result.flagged,
        )


def response_text(request_id: str, model: ModelVersion, results: Sequence[EncodedResult]) -> str:
    """Return the JSON of a `PredictResponse`.

    Args:
        request_id: Number of the request.
        model: The model that computed.
        results: One result per image, in the order of the request.
    """
    empty = PredictResponse(request_id=request_id, model=model, results=()).model_dump_json()
    # The list of results is the last field.
    return empty.removesuffix("]}") + ",".join(result.text for result in results) + "]}"
