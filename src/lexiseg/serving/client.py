"""The client of a server: it sends images and gives the same results as `Predictor` and `lexiseg.refine`."""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx2
import numpy as np
import numpy.typing as npt
from PIL import Image
from pydantic import ValidationError

from lexiseg.data.decode import read_content
from lexiseg.errors import RequestError, UsageError
from lexiseg.inference.image_inputs import image_pixels
from lexiseg.inference.result import Prediction
from lexiseg.json_records import Record
from lexiseg.refinement.refine import Refinement
from lexiseg.serving.client_results import prediction_of, refinement_of
from lexiseg.serving.records.common import RefusalRecord
from lexiseg.serving.records.models import ModelRecord, ModelsResponse
from lexiseg.serving.records.predictions import PredictionAnswer, PredictResponse
from lexiseg.serving.records.refinements import RefineResponse
from lexiseg.structured_text import UnusableTextError, parse_json
from lexiseg.web_address import holds_credentials, is_readable_on_the_way

Pixels = npt.NDArray[np.uint8]
AnyRecord = TypeVar("AnyRecord", bound=Record)

_SECONDS = 120.0
_ADDRESS = re.compile(r"https?://[^/\s]", re.IGNORECASE)
# What a header may hold (RFC 6750).
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")


class Client:
    """Predicts and refines images on a server.

    Args:
        url: Address of the server, such as "http://127.0.0.1:8000".
        token: A token of the server, where it asks for one.
        model: Name of the model; None takes the default one of the server.
        timeout: Seconds to wait for an answer.
        unencrypted: Whether the token may be sent to another machine without encryption, where others can
            read and use it.

    Raises:
        UsageError: The address is not one of http or https, the token holds characters that no token has, or
            it would be sent without encryption.

    Examples:
        >>> with lexiseg.Client("http://127.0.0.1:8000") as client:  # doctest: +SKIP
        ...     prediction = client.predict("image.png")
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        model: str | None = None,
        timeout: float = _SECONDS,
        unencrypted: bool = False,
    ) -> None:
        if not _ADDRESS.match(url):
            raise UsageError(
                f"Expected the address of a server, such as http://127.0.0.1:8000, got {url!r}.",
                code="LEX-USE-1115",
            )
        if token is not None and not _TOKEN.fullmatch(token):
            # The message does not hold it: messages are kept in logs.
            raise UsageError(
                "The token holds characters that no token has, such as a space or the end of a line. Pass it "
                "as `lexiseg token new` printed it.",
                code="LEX-USE-1116",
            )
        if not unencrypted and (token or holds_credentials(url)) and is_readable_on_the_way(url):
            raise UsageError(
                "The token would be sent to another machine without encryption, and others on the way could "
                "read and use it. Use an address that begins with https:// (`lexiseg serve "
                "--tls-certificate`), or state unencrypted=True if nobody else uses the network.",
                code="LEX-USE-1670",
            )
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        # The address is stated, so no proxy of the environment is asked.
        self._http = httpx2.Client(base_url=url, headers=headers, timeout=timeout, trust_env=False)
        self._model = model

    def predict(self, image: str | Path | Pixels) -> Prediction:
        """Segment one image on the server.

        Args:
            image: A file, or `(H, W, 3)` or `(H, W)` uint8 pixels.

        Returns:
            The prediction, as `Predictor.predict` gives it.

        Raises:
            DataError: The file cannot be opened.
            UsageError: The array is not an image.
            RequestError: The server refuses the image, or cannot be reached.
        """
        (result,) = self._predict([_upload(image)])
        return result

    def predict_many(self, images: Sequence[str | Path | Pixels]) -> list[Prediction]:
        """Segment several images in one request; see `predict`."""
        return self._predict([_upload(image) for image in images])

    def refine(self, image: str | Path | Pixels, *, say: str | Mapping[str, str]) -> Refinement:
        """Segment one image on the server, and correct its mask by what a person says.

        Args:
            image: As for `predict`.
            say: What is right: text, or a phrase per factor; see `lexiseg.refine`.

        Returns:
            The refinement, as `lexiseg.refine` gives it.

        Raises:
            DataError: The file cannot be opened.
            UsageError: The array is not an image.
            RequestError: The server refuses the image or the words, or cannot be reached.
        """
        answer = self._post("/v1/refine", [_upload(image)], {"say": _said(say)}, RefineResponse)
        return refinement_of(answer)

    def corrected_objects(
        self,
        image: str | Path,
        *,
        say: str | Mapping[str, str],
        formats: Sequence[str] = ("seg", "sr"),
    ) -> dict[str, bytes]:
        """Segment a DICOM image on the server, correct its mask, and return DICOM objects of that mask.

        Args:
            image: A DICOM file.
            say: What is right; see `refine`.
            formats: Some of "seg", "labelmap" and "sr".

        Returns:
            The content of each object, by format. The report names the token of this client as the person.

        Raises:
            DataError: The file cannot be opened.
            RequestError: The server refuses, cannot be reached, or cannot write an object.
        """
        fields = {"say": _said(say), "formats": ",".join(formats), "exact": "false"}
        answer = self._post("/v1/refine", [_upload(image)], fields, RefineResponse).refined
        if answer.not_written:
            raise RequestError(
                "The server cannot write an object of the corrected mask: "
                + "; ".join(f"{kind}: {why}" for kind, why in answer.not_written.items()),
                status=422,
                code="LEX-REQ-1459",
            )
        return {file.format: base64.b64decode(file.content) for file in answer.files}

    def models(self) -> tuple[ModelRecord, ...]:
        """Return what the server says of its models.

        Raises:
            RequestError: The server refuses, or cannot be reached.
        """
        return self._read(self._send("GET", "/v1/models"), ModelsResponse).models

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        """Return the client."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connections."""
        self.close()

    def _predict(self, uploads: Sequence[tuple[str, bytes]]) -> list[Prediction]:
        results = self._post("/v1/predict", uploads, {}, PredictResponse).results
        found = []
        for result in results:
            if not isinstance(result, PredictionAnswer):
                raise RequestError(
                    f"The server cannot predict {result.name}: {result.error.message} [{result.error.code}]",
                    status=422,
                    code="LEX-REQ-1140",
                )
            found.append(prediction_of(result))
        return found

    def _post(
        self,
        route: str,
        uploads: Sequence[tuple[str, bytes]],
        fields: Mapping[str, str],
        kind: type[AnyRecord],
    ) -> AnyRecord:
        form = {"exact": "true", "preview": "never", **fields}
        if self._model is not None:
            form["model"] = self._model
        files = [("image", upload) for upload in uploads]
        return self._read(self._send("POST", route, data=form, files=files), kind)

    def _send(self, method: str, route: str, **content: Any) -> httpx2.Response:
        try:
            return self._http.request(method, route, **content)
        except httpx2.HTTPError as error:
            raise RequestError(
                f"The server at {self._http.base_url} does not answer ({type(error).__name__}: {error}). "
                "Check its address, and that it runs.",
                status=503,
                code="LEX-REQ-1141",
            ) from error

    def _read(self, answer: httpx2.Response, kind: type[AnyRecord]) -> AnyRecord:
        try:
            if answer.is_success:
                return kind.model_validate(parse_json(answer.content))
            refused = RefusalRecord.model_validate(parse_json(answer.content))
        except (ValidationError, UnusableTextError) as error:
            raise RequestError(
                f"{self._http.base_url} does not answer as a server of this version of Lexiseg does (status "
                f"{answer.status_code}). Check the address, and use the version of the server.",
                status=answer.status_code,
                code="LEX-REQ-1142",
            ) from error
        waits = answer.headers.get("Retry-After", "")
        raise RequestError(
            f"The server refuses the request: {refused.error.message} [{refused.error.code}]",
            status=answer.status_code,
            retry_after=int(waits) if waits.isdecimal() else None,
            code="LEX-REQ-1143",
        )


def _said(say: str | Mapping[str, str]) -> str:
    return say if isinstance(say, str) else json.dumps(dict(say))


def _upload(image: str | Path | Pixels) -> tuple[str, bytes]:
    """Return the name and the bytes of an image."""
    if isinstance(image, str | Path):
        path = Path(image)
        return path.name, read_content(path)
    buffer = io.BytesIO()
    Image.fromarray(image_pixels(image)).save(buffer, format="PNG", compress_level=1)
    return "image.png", buffer.getvalue()
