"""The client of a server: it sends images and gives the same results as `Predictor` and `lexiseg.refine`."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt
from PIL import Image

from lexiseg.clinic.volume_geometry import AxisName
from lexiseg.data.content import read_content
from lexiseg.errors import RequestError
from lexiseg.inference.inputs.image_inputs import image_pixels
from lexiseg.inference.result import Prediction
from lexiseg.refinement.refine import Refinement
from lexiseg.serving.client_connection import AnyRecord, Connection
from lexiseg.serving.client_jobs import ServerJob
from lexiseg.serving.client_results import prediction_of, refinement_of
from lexiseg.serving.client_uploads import sent_name, uploads_of
from lexiseg.serving.records.jobs import JobRecord, JobsResponse
from lexiseg.serving.records.models import ModelRecord, ModelsResponse
from lexiseg.serving.records.predictions import PredictionAnswer, PredictResponse
from lexiseg.serving.records.refinements import RefineResponse

Pixels = npt.NDArray[np.uint8]

_SECONDS = 120.0


class Client:
    """Predicts and refines images on a server.

    Args:
        url: Address of the server, such as "http://127.0.0.1:8000".
        token: A token of the server, where it asks for one.
        model: Name of the model; None takes the default one of the server.
        timeout_s: Seconds to wait for an answer.
        unencrypted: Whether the token may be sent to another machine without encryption, where others can
            read and use it.
        certificate_authority: File (PEM) with certificates of the authorities that the certificate of the
            server must come from, such as that of a hospital; None takes those of the system.

    Raises:
        UsageError: The address is not one of http or https, the token holds characters that no token has, it
            would be sent without encryption, or not at all, or the certificates cannot be read.

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
        timeout_s: float = _SECONDS,
        unencrypted: bool = False,
        certificate_authority: str | Path | None = None,
    ) -> None:
        self._connection = Connection(
            url,
            token=token,
            timeout=timeout_s,
            unencrypted=unencrypted,
            certificate_authority=certificate_authority,
        )
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
        formats: str | Sequence[str] = ("seg", "sr"),
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
        fields = {"say": _said(say), "formats": _listed(formats), "exact": "false"}
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
        return self._connection.ask(ModelsResponse, "GET", "/v1/models").models

    def submit(
        self,
        inputs: str | Path | Sequence[str | Path],
        *,
        formats: str | Sequence[str] = ("mask",),
        axis: AxisName = "auto",
        window: str | None = None,
        frame: int | None = None,
        smooth_slices: bool = False,
        single_slices: bool = False,
        say: str | Mapping[str, str] | None = None,
    ) -> ServerJob:
        """Send images and volumes that the server predicts in the background.

        Args:
            inputs: Files, zip files and folders. A folder, such as that of a DICOM series, is sent as a zip
                file of all its files that are not hidden. Where a name is not UTF-8, "%" and two digits stand
                for each byte that is not, also in the outputs.
            formats: The outputs, as in `lexiseg predict --write`, such as "mask", "overlay", "nifti", "seg"
                and "sr".
            axis: Volumes: the slices.
            window: DICOM files and volumes: centre and width of the grey values shown, such as "40,400", or
                "body-part"; None for the window of the file.
            frame: DICOM files of several frames: the number of one frame, from 1.
            smooth_slices: Volumes: whether each probability is averaged with those of the two neighbouring
                slices.
            single_slices: Whether slices of DICOM series are images of their own.
            say: What is right of the only image; the outputs are then those of the corrected mask. See
                `refine`.

        Returns:
            The job. It goes on without the client.

        Raises:
            DataError: A file cannot be opened, or a folder holds none.
            UsageError: There is no file.
            DiskError: There is no space for the zip file of a folder.
            RequestError: The server refuses the job, or cannot be reached.

        Examples:
            >>> job = client.submit(["chest.dcm", "series"], formats=("mask", "seg"))  # doctest: +SKIP
            >>> job.wait().done, job.download("outputs")  # doctest: +SKIP
        """
        chosen = {
            "model": self._model,
            "formats": _listed(formats),
            "axis": axis,
            "window": window,
            "frame": frame,
            "smooth_slices": smooth_slices,
            "single_slices": single_slices,
            "say": None if say is None else _said(say),
        }
        form = {name: value for name, value in chosen.items() if value is not None}
        paths = [inputs] if isinstance(inputs, str | Path) else inputs
        with uploads_of([Path(path) for path in paths]) as uploads:
            files = [("image", upload) for upload in uploads]
            record = self._connection.ask(JobRecord, "POST", "/v1/jobs", data=form, files=files)
        return ServerJob(self._connection, record)

    def jobs(self) -> tuple[ServerJob, ...]:
        """Return the jobs that were made with the token of this client, the newest first.

        Raises:
            RequestError: The server refuses, or cannot be reached.
        """
        found = self._connection.ask(JobsResponse, "GET", "/v1/jobs").jobs
        return tuple(ServerJob(self._connection, record) for record in found)

    def close(self) -> None:
        """Close the connections."""
        self._connection.close()

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
        return self._connection.ask(kind, "POST", route, data=form, files=files)


def _said(say: str | Mapping[str, str]) -> str:
    return say if isinstance(say, str) else json.dumps(dict(say))


def _upload(image: str | Path | Pixels) -> tuple[str, bytes]:
    """Return the name and the bytes of an image."""
    if isinstance(image, str | Path):
        path = Path(image)
        return sent_name(path.name), read_content(path)
    buffer = io.BytesIO()
    Image.fromarray(image_pixels(image)).save(buffer, format="PNG", compress_level=1)
    return "image.png", buffer.getvalue()


def _listed(formats: str | Sequence[str]) -> str:
    """Return formats as the server takes them: "mask,seg"."""
    return formats if isinstance(formats, str) else ",".join(formats)
