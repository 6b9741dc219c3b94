"""A small server for the tests of the page: it gives the page and answers of the contract, without a network.

It "reads" phantom images that it was shown before: their mask is the true one, moved a little. What is said
moves the mask by simple rules. Answers are records of `lexiseg.serving.records`, so they follow the contract.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import threading
import time
from collections.abc import Callable
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

from lexiseg.clinic.outlines import outlines
from lexiseg.data.decoded_image import decode_with_facts
from lexiseg.errors import LexisegError
from lexiseg.inference.records.predictions_file import DicomRecord
from lexiseg.json_records import Record
from lexiseg.serving.records.common import ErrorRecord, ModelVersion, RefusalRecord
from lexiseg.serving.records.health import HealthRecord
from lexiseg.serving.records.jobs import JobRecord
from lexiseg.serving.records.models import (
    FactorRecord,
    ModelRecord,
    ModelsResponse,
    PhraseRecord,
    VocabularyRecord,
)
from lexiseg.serving.records.predictions import (
    ClassOutlines,
    FailedImage,
    PredictionAnswer,
    PredictResponse,
    PreviewRecord,
    WordAnswer,
)
from lexiseg.serving.records.refinements import RefinedAnswer, RefinedWordAnswer, RefineResponse
from lexiseg.words.measure import measure
from lexiseg.words.vocabulary import Vocabulary, load_vocabulary

Labels = npt.NDArray[np.uint8]

#: The policy under which the page has to work: nothing inline, nothing from elsewhere.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_KINDS = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
_PAGE = Path(str(files("lexiseg.serving") / "page"))
_STYLE = Path(str(files("lexiseg") / "page_style"))
_MODELS = ("phantom-chest", "phantom-second")


def png(pixels: npt.NDArray[Any]) -> str:
    """Return pixels as a PNG in base64."""
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG")
    return base64.b64encode(content.getvalue()).decode()


def moved(mask: Labels, vocabulary: Vocabulary, stated: dict[str, str]) -> Labels:
    """Return a mask after a person said phrases of the chest vocabulary: zones are filled, others emptied."""
    rows, columns = mask.shape
    result = mask.copy()
    for half, name in ((slice(0, columns // 2), "left"), (slice(columns // 2, columns), "right")):
        phrase = stated.get(name)
        if phrase is None:
            continue
        inside = np.zeros_like(result)
        for zone, low in (("upper", 0.15), ("middle", 0.4), ("lower", 0.62)):
            if zone in phrase.split():
                center = ((low + 0.12) * rows, (half.start + half.stop) / 2)
                grid = np.mgrid[0:rows, 0:columns]
                away = ((grid[0] - center[0]) / (0.11 * rows)) ** 2
                away += ((grid[1] - center[1]) / (0.1 * columns)) ** 2
                inside |= (away < 1).astype(np.uint8)
        result[:, half] = inside[:, half]
    return result


class Stub:
    """The answers. `seen` lists the paths of requests to the interface, in order; `read` the names of images
    that came to be predicted; `job_words` what jobs say.

    Attributes:
        busy: That many requests to predict are refused with 429 before the next one is answered.
        token: The token that requests need; None for none.
        delay: Seconds that a prediction takes.
        away: Status with which a proxy answers for the server; None where the server is there.
        away_for: Status with which a proxy answers for each image of these names, while the server is there.
        ended_by: Name of an image that ends the server: it is away then.
        version_of_all: The version of each model.
        job_lasts: Seconds until the events of a job come.
    """

    def __init__(self) -> None:
        self.vocabulary = load_vocabulary("chest")
        self.known: dict[str, Labels] = {}
        self.seen: list[str] = []
        self.said: list[str] = []
        self.job_words: list[str] = []
        self.asked_models: list[str] = []
        self.busy = 0
        self.token: str | None = None
        self.delay = 0.0
        self.away: int | None = None
        self.away_for: dict[str, int] = {}
        self.ended_by: str | None = None
        self.read: list[str] = []
        self.version_of_all = "5e" * 32
        self.job_lasts = 0.0
        self.lock = threading.Lock()

    def show(self, content: bytes, labels: Labels) -> None:
        """Let the stub know the mask of an image file."""
        self.known[hashlib.sha256(content).hexdigest()] = labels

    def models(self) -> ModelsResponse:
        factors = tuple(
            FactorRecord(
                name=factor.name,
                title=factor.title,
                phrases=tuple(
                    PhraseRecord(index=i, phrase=p, moves_mask=sided, has_zone=sided)
                    for i, p in enumerate(factor.phrases)
                ),
            )
            for factor in self.vocabulary.factors
            for sided in [factor.name in ("left", "right")]
        )
        found = tuple(self.model(name, factors) for name in _MODELS)
        return ModelsResponse(models=found)

    def version(self, name: str) -> ModelVersion:
        return ModelVersion(name=name, version=self.version_of_all, lexiseg_version="0.2.0")

    def model(self, name: str, factors: tuple[FactorRecord, ...]) -> ModelRecord:
        return ModelRecord(
            name=name,
            version=self.version(name).version,
            weights_sha256="ab" * 32,
            loaded="2026-01-01T00:00:00Z",
            trained_with="0.2.0",
            is_default=name == _MODELS[0],
            classes=("background", "lesion"),
            image_size=224,
            fit="stretch",
            side="image",
            vocabulary=VocabularyRecord(name="chest", title="Chest infection", factors=factors),
            can_refine=True,
            is_calibrated=True,
            knows_training_images=True,
            engine="stub 1.0, fp32 on cpu",
            card="",
        )

    def zone(self, factor: str, index: int) -> bytes:
        phrase = next(f for f in self.vocabulary.factors if f.name == factor).phrases[index]
        filled = moved(np.zeros((64, 64), np.uint8), self.vocabulary, {factor: phrase})
        return base64.b64decode(
            png((ndimage.gaussian_filter(filled.astype(float), 4) * 255).astype(np.uint8))
        )

    def predict(self, name: str, content: bytes, model: str) -> PredictResponse:
        self.asked_models.append(model)
        try:
            result: PredictionAnswer | FailedImage = self.prediction(name, content)
        except LexisegError as error:
            message = ErrorRecord(code=error.code, message=str(error))
            result = FailedImage(name=name, error=message)
        return PredictResponse(request_id="r1", model=self.version(model), results=(result,))

    def prediction(self, name: str, content: bytes) -> PredictionAnswer:
        decoded = decode_with_facts(content, Path(name))
        digest = hashlib.sha256(content).hexdigest()
        doubt = int(digest[:4], 16) / 0xFFFF
        mask = self.mask(content, decoded.displayed)
        measured = measure(mask, self.vocabulary)
        words = tuple(self.word(i, measured.indices[i], doubt) for i in range(len(self.vocabulary.factors)))
        unlike: tuple[Any, ...] = ("content", "layout") if doubt > 0.9 else ()
        expected = None if unlike else round(0.95 - 0.6 * doubt, 3)
        flagged = expected is None or expected < 0.6
        reasons = []
        if unlike:
            reasons.append(
                "unlike the training images (content, layout): nothing was learned about such images"
            )
        elif flagged:
            reasons.append("low confidence: the outline is uncertain, and the left word is unsure")
        shape = (mask.shape[0], mask.shape[1])
        lines = self.outlines(mask)
        return PredictionAnswer(
            name=name,
            size=shape,
            classes=("background", "lesion"),
            mask=png(mask),
            outlines=lines,
            preview=PreviewRecord(
                image=png(decoded.displayed), size=shape, mask=png(mask), outlines=lines, turned="not turned"
            ),
            words=words,
            measured=measured.phrases,
            agreement=0.75,
            flagged=flagged,
            reasons=tuple(reasons),
            expected_dice=expected,
            unlike_training_images=unlike,
            area_px={"lesion": int(mask.sum())},
            area_mm2=None,
            side="image",
            exif_orientation=1,
            dicom=None if decoded.facts is None else DicomRecord.of(decoded.facts),
            assumptions=(),
            engine="stub 1.0, fp32 on cpu",
        )

    def mask(self, content: bytes, pixels: npt.NDArray[np.uint8]) -> Labels:
        known = self.known.get(hashlib.sha256(content).hexdigest())
        if known is not None:
            return np.asarray(np.roll(known > 0, 3, axis=0), np.uint8)
        return np.asarray(pixels[..., 0] > 200, np.uint8)

    def outlines(self, mask: Labels) -> tuple[ClassOutlines, ...]:
        found, number = outlines(mask > 0)
        polygons = tuple(tuple((float(x), float(y)) for x, y in line.points) for line in found)
        return (ClassOutlines(label=1, name="lesion", polygons=polygons, regions=number),)

    def word(self, position: int, index: int, doubt: float) -> WordAnswer:
        factor = self.vocabulary.factors[position]
        index = max(index, 0)
        share = round(0.95 - 0.5 * doubt - 0.05 * position, 3)
        rest = (1 - share) / (len(factor.phrases) - 1)
        probabilities = tuple(share if i == index else rest for i in range(len(factor.phrases)))
        others = tuple((p, rest) for i, p in enumerate(factor.phrases) if i != index)[:3]
        return WordAnswer(
            factor=factor.name,
            title=factor.title,
            index=index,
            phrase=factor.phrases[index],
            confidence=share,
            runners_up=others,
            probabilities=probabilities,
        )

    def refine(self, name: str, content: bytes, say: str, model: str) -> RefineResponse | str:
        """Return the answer, or a message of refusal."""
        self.said.append(say)
        unread: list[str] = []
        if say.startswith("{"):
            stated = json.loads(say)
        else:
            stated = {
                factor.name: phrase
                for factor in self.vocabulary.factors
                for phrase in factor.phrases
                if phrase in say
            }
            if "heart" in say:
                unread.append("'heart' is not part of the vocabulary.")
        if not stated:
            return f"Nothing of '{say}' could be read."
        found = self.prediction(name, content)
        before = np.asarray(Image.open(io.BytesIO(base64.b64decode(found.mask))))
        mask = moved(before, self.vocabulary, stated)
        words = tuple(
            RefinedWordAnswer(
                factor=word.factor,
                title=word.title,
                index=factor.phrases.index(stated.get(word.factor, word.phrase)),
                phrase=stated.get(word.factor, word.phrase),
                said_by="person" if word.factor in stated else "model",
                retrieved=word.phrase,
                confidence=word.probabilities[factor.phrases.index(stated.get(word.factor, word.phrase))],
            )
            for word, factor in zip(found.words, self.vocabulary.factors, strict=True)
        )
        both = int(mask.sum()) + int(before.sum())
        refined = RefinedAnswer(
            mask=png(mask),
            outlines=self.outlines(mask),
            preview_mask=png(mask),
            preview_outlines=self.outlines(mask),
            said=(say,),
            unread=tuple(unread),
            words=words,
            measured=measure(mask, self.vocabulary).phrases,
            agreement=1.0,
            overlap=2 * int((mask & before).sum()) / both if both else 1.0,
            flagged=False,
            reasons=(),
            expected_dice=0.88,
            area_px={"lesion": int(mask.sum())},
            area_mm2=None,
        )
        return RefineResponse(request_id="r2", model=self.version(model), prediction=found, refined=refined)

    def begin_job(self, parts: dict[str, tuple[str, bytes]]) -> JobRecord:
        if "say" in parts:
            self.job_words.append(parts["say"][1].decode())
        return self.job(0)

    def job(self, done: int) -> JobRecord:
        return JobRecord(
            id="job-1",
            state="done" if done else "running",
            model=self.version(_MODELS[0]),
            formats=("seg", "sr"),
            created="2026-01-01T00:00:00Z",
            images=1,
            notes=(),
            done=done,
            failed=0,
            flagged=0,
            slices=0,
            slices_done=0,
            bytes=4 if done else None,
            error=None,
            expires=None,
        )


class _Handler(BaseHTTPRequestHandler):
    stub: Stub

    def log_message(self, format: str, *arguments: Any) -> None:
        """Stay silent."""

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        if path.startswith("/v1/"):
            self._interface(path)
            return
        if path == "/healthz":
            health = HealthRecord(status="ok", version="0.2.0").model_dump_json()
            self._send(self.stub.away or 200, "application/json", b"" if self.stub.away else health.encode())
            return
        folder, name = _PAGE, path.lstrip("/") or "index.html"
        if name.startswith("page_style/"):
            folder, name = _STYLE, name.removeprefix("page_style/")
        file = folder / name
        if not file.is_file() or not file.resolve().is_relative_to(folder.resolve()):
            self._send(404, "text/plain", b"")
            return
        self._send(200, _KINDS[file.suffix], file.read_bytes())

    def do_POST(self) -> None:
        self._interface(self.path)

    def do_DELETE(self) -> None:
        self._interface(self.path)

    def _interface(self, path: str) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        with self.stub.lock:
            self.stub.seen.append(f"{self.command} {path}")
        if self.stub.away is not None:
            self._send(self.stub.away, "text/html", b"<h1>Bad Gateway</h1>")
            return
        if self.stub.token and self.headers.get("Authorization") != f"Bearer {self.stub.token}":
            self._refuse(401, "LEX-USE-1", "Give a token.")
            return
        parts = self._parts(body) if self.command == "POST" else {}
        model = parts["model"][1].decode() if "model" in parts else ""
        answers: dict[str, Callable[[], Record | bytes | str]] = {
            "/v1/models": self.stub.models,
            "/v1/predict": lambda: self.stub.predict(*parts["image"], model=model),
            "/v1/refine": lambda: self.stub.refine(
                *parts["image"], say=parts["say"][1].decode(), model=model
            ),
            "/v1/jobs": lambda: self.stub.begin_job(parts),
            "/v1/jobs/job-1/result": lambda: b"PK\x05\x06",
            "/v1/jobs/job-1": lambda: self.stub.job(1),
        }
        if path == "/v1/predict":
            time.sleep(self.stub.delay)
            name = parts["image"][0]
            with self.stub.lock:
                self.stub.read.append(name)
                if name == self.stub.ended_by:
                    self.stub.away = 502
                status = self.stub.away or self.stub.away_for.get(name)
            if status:
                self._send(status, "text/html", b"<h1>Bad Gateway</h1>")
                return
            with self.stub.lock:
                refused = self.stub.busy > 0
                self.stub.busy -= refused
            if refused:
                self._refuse(429, "LEX-USE-2", "The server is busy.")
                return
        if path.endswith("/events"):
            events = [f"event: progress\ndata: {self.stub.job(n).model_dump_json()}\n\n" for n in (0, 1)]
            time.sleep(self.stub.job_lasts)
            self._send(200, "text/event-stream", "".join(events).encode())
            return
        if "/zones/" in path:
            *_, factor, index = path.split("/")
            self._send(200, "image/png", self.stub.zone(factor, int(index)))
            return
        answer = answers[path]()
        if isinstance(answer, str):
            self._refuse(422, "LEX-USE-301", answer)
        elif isinstance(answer, bytes):
            self._send(200, "application/zip", answer)
        else:
            self._send(200, "application/json", answer.model_dump_json().encode())

    def _parts(self, body: bytes) -> dict[str, tuple[str, bytes]]:
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        found = {}
        for part in BytesParser(policy=HTTP).parsebytes(head + body).iter_parts():
            name = str(part.get_param("name", header="content-disposition"))
            content = part.get_payload(decode=True)
            assert isinstance(content, bytes)
            found[name] = (str(part.get_filename() or ""), content)
        return found

    def _refuse(self, status: int, code: str, message: str) -> None:
        error = ErrorRecord(code=code, message=message)
        record = RefusalRecord(error=error, request_id="r0")
        self._send(status, "application/json", record.model_dump_json().encode())

    def _send(self, status: int, kind: str, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Content-Security-Policy", POLICY)
        self.send_header("X-Content-Type-Options", "nosniff")
        if status == 429:
            self.send_header("Retry-After", "1")
        self.end_headers()
        self.wfile.write(content)


class PageServer:
    """The stub behind a port of 127.0.0.1, which can go away and come back."""

    def __init__(self) -> None:
        self.stub = Stub()
        self._handler = type("Handler", (_Handler,), {"stub": self.stub})
        self._server: ThreadingHTTPServer | None = None
        self._port = 0
        self.start()

    @property
    def address(self) -> str:
        """Where the page is."""
        return f"http://127.0.0.1:{self._port}/"

    def start(self) -> None:
        """Answer requests, at the same port as before."""
        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), self._handler)
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """Answer no more."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
