"""The configuration of a gateway: where images come from, what is done with them, and where results go."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import regex
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

from lexiseg.inference.formats.registry import dicom_names, image_formats

#: Formats that archives take.
DICOM_FORMATS = frozenset(dicom_names())

#: Formats that a rule may write: those with a file per image that need no engine of their own.
WRITABLE = tuple(known.name for known in image_formats() if not known.needs_torch)

Port = Annotated[int, Field(ge=0, le=65535)]
Seconds = Annotated[float, Field(gt=0)]
_AE_TITLE = regex.compile(r"[\x21-\x5b\x5d-\x7e](?:[\x20-\x5b\x5d-\x7e]{0,14}[\x21-\x5b\x5d-\x7e])?")


def _checked_title(value: str) -> str:
    if _AE_TITLE.fullmatch(value) is None:
        raise ValueError(
            f"{value!r} is no AE title: expected 1 to 16 ASCII characters, without a backslash and without a "
            "space at either end"
        )
    return value


AeTitle = Annotated[str, AfterValidator(_checked_title)]


def _not_empty(value: object) -> object:
    # An empty path would be the folder of the file, and a source removes the files that it has read.
    if value == "":
        raise ValueError("expected a path; got an empty text. A full stop (.) is the folder of this file")
    return value


SomePath = Annotated[Path, BeforeValidator(_not_empty)]


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Tls(_Settings):
    """Encryption of a DICOM connection.

    Attributes:
        certificate: Own certificate chain (PEM). A receiver needs it; a sender needs it if the peer asks for
            one.
        key: Its private key (PEM).
        authorities: Certificates of the authorities (PEM) that certificates of peers must come from. A
            receiver with it asks every peer for a certificate.
    """

    certificate: SomePath | None = None
    key: SomePath | None = None
    authorities: SomePath | None = None


class DicomSource(_Settings):
    """A port that other systems send images to (C-STORE).

    Attributes:
        kind: `dicom`.
        ae_title: AE title of the gateway; peers must call it by this title.
        host: Address to listen on. `0.0.0.0` is every network of the machine.
        port: Port to listen on; 0 is a free one.
        allow: AE titles of the peers that may send; `["*"]` allows all.
        associations: Largest number of associations at one time; a further peer is rejected and tries again.
        tls: Encryption; without it, images travel unencrypted.
    """

    kind: Literal["dicom"]
    ae_title: AeTitle = "LEXISEG"
    host: str = "127.0.0.1"
    port: Port = 11112
    allow: tuple[AeTitle, ...] = Field(min_length=1)
    associations: Annotated[int, Field(ge=1, le=1000)] = 10
    tls: Tls | None = None

    @model_validator(mode="after")
    def _has_certificate(self) -> DicomSource:
        if self.tls is not None and (self.tls.certificate is None or self.tls.key is None):
            raise ValueError("tls of a source needs `certificate` and `key`")
        return self


class FolderSource(_Settings):
    """A folder that other programs put images into. Files that were read are removed from it.

    Attributes:
        kind: `folder`.
        path: The folder; its subfolders are searched too, without hidden files.
        every_s: Seconds between two looks.
        settle_s: A file is read when its size and its time have not changed for so many seconds.
    """

    kind: Literal["folder"]
    path: SomePath
    every_s: Seconds = 2.0
    settle_s: Annotated[float, Field(ge=0)] = 5.0


class WebAccess(_Settings):
    """How a DICOMweb service is reached.

    Attributes:
        url: Base address, such as `https://archive.example/dicom-web`.
        token_file: File with a bearer token; without it, no token is sent.
        user_file: File with `name:password` for HTTP basic authentication.
        unencrypted: Whether token and password may be sent to another machine by http, where others can read
            and use them.
        tls: Certificates; `authorities` replaces those of the system.
        timeout_s: Longest wait for an answer in seconds.
    """

    url: Annotated[str, Field(pattern=r"^https?://")]
    token_file: SomePath | None = None
    user_file: SomePath | None = None
    unencrypted: bool = False
    tls: Tls | None = None
    timeout_s: Seconds = 60.0


class DicomwebSource(WebAccess):
    """A DICOMweb service that is asked for new images (QIDO-RS), which are then fetched (WADO-RS).

    Attributes:
        kind: `dicomweb`.
        url: Base address, such as `https://archive.example/dicom-web`.
        token_file: File with a bearer token; without it, no token is sent.
        user_file: File with `name:password` for HTTP basic authentication.
        unencrypted: Whether token and password may be sent to another machine by http, where others can read
            and use them.
        tls: Certificates; `authorities` replaces those of the system.
        timeout_s: Longest wait for an answer in seconds.
        modality: Modalities that are asked for.
        days: Study dates that are asked for: today and so many days before.
        every_s: Seconds between two questions.
    """

    kind: Literal["dicomweb"]
    modality: tuple[str, ...] = Field(min_length=1)
    days: Annotated[int, Field(ge=0)] = 1
    every_s: Seconds = 30.0


Source = Annotated[DicomSource | FolderSource | DicomwebSource, Field(discriminator="kind")]


class DicomDestination(_Settings):
    """An archive that results are sent to (C-STORE).

    Attributes:
        kind: `dicom`.
        host: Its address.
        port: Its port.
        ae_title: Its AE title.
        calling_ae_title: AE title of the gateway.
        tls: Encryption; without it, results travel unencrypted.
        timeout_s: Longest wait for an answer in seconds.
    """

    kind: Literal["dicom"]
    host: str
    port: Annotated[int, Field(ge=1, le=65535)]
    ae_title: AeTitle
    calling_ae_title: AeTitle = "LEXISEG"
    tls: Tls | None = None
    timeout_s: Seconds = 60.0


class DicomwebDestination(WebAccess):
    """A DICOMweb service that results are sent to (STOW-RS).

    Attributes:
        kind: `dicomweb`.
        url: Base address, such as `https://archive.example/dicom-web`.
        token_file: File with a bearer token; without it, no token is sent.
        user_file: File with `name:password` for HTTP basic authentication.
        unencrypted: Whether token and password may be sent to another machine by http, where others can read
            and use them.
        tls: Certificates; `authorities` replaces those of the system.
        timeout_s: Longest wait for an answer in seconds.
    """

    kind: Literal["dicomweb"]


class FolderDestination(_Settings):
    """A folder that results are written to, as STUDY/IMAGE/FORMAT with the UIDs of study and image.

    Attributes:
        kind: `folder`.
        path: The folder.
    """

    kind: Literal["folder"]
    path: SomePath


Destination = Annotated[
    DicomDestination | DicomwebDestination | FolderDestination, Field(discriminator="kind")
]


class Rule(_Settings):
    """Which images a run segments, and where the results go. An image follows the first rule that fits.

    Attributes:
        name: Name of the rule, for logs and figures.
        modality: Modalities, such as `[CR, DX]`; empty fits all.
        body_part: Body parts (BodyPartExamined), such as `[CHEST]`; empty fits all, also where it is missing.
        description: Regular expression that must be found in StudyDescription, SeriesDescription or
            ProtocolName, in upper or lower case.
        run: Run folder, or a model that comes with Lexiseg.
        write: Output formats, such as `[seg, sr]`.
        send_to: Names of destinations. Without one, the results stay in the state folder and are not sent.
    """

    name: Annotated[str, Field(min_length=1, max_length=64)]
    modality: tuple[str, ...] = ()
    body_part: tuple[str, ...] = ()
    description: Annotated[str, Field(max_length=500)] | None = None
    run: str
    write: tuple[str, ...] = Field(default=("seg", "sr"), min_length=1)
    send_to: tuple[str, ...] = ()

    @field_validator("modality", "body_part")
    @classmethod
    def _upper(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(part.strip().upper() for part in value)

    @field_validator("description")
    @classmethod
    def _readable(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                regex.compile(value)
            except (regex.error, OverflowError, RecursionError, MemoryError) as error:
                raise ValueError(f"{value!r} is not a regular expression: {error}") from error
        return value

    @field_validator("write")
    @classmethod
    def _known_formats(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [name for name in value if name not in WRITABLE]
        if unknown:
            raise ValueError(f"there is no format {unknown[0]!r} here; there are {', '.join(WRITABLE)}")
        return value


class Limits(_Settings):
    """When the gateway takes no more images for a while; senders then try again later.

    Attributes:
        queue: Largest number of images that wait for their prediction or for the sending of their results.
        free_disk_mb: Smallest free space in MB on the disk of the state folder.
        largest_image_mb: Largest image file in MB.
    """

    queue: Annotated[int, Field(ge=1)] = 10_000
    free_disk_mb: Annotated[float, Field(ge=0)] = 1_000.0
    largest_image_mb: Annotated[float, Field(gt=0)] = 2_000.0


class Retries(_Settings):
    """How often something is tried again.

    Attributes:
        first_s: Seconds before a failed delivery is tried again; each further wait is twice as long.
        longest_s: Longest wait in seconds.
        give_up_h: Hours after which an image whose results cannot be delivered goes into quarantine.
        predictions: Times that a prediction is begun; an image that ends the process each time goes into
            quarantine.
    """

    first_s: Seconds = 5.0
    longest_s: Seconds = 900.0
    give_up_h: Annotated[float, Field(gt=0)] = 72.0
    predictions: Annotated[int, Field(ge=1)] = 5


class Monitoring(_Settings):
    """A web page with the health (`/health`) and with figures for Prometheus (`/metrics`).

    Attributes:
        host: Address to listen on.
        port: Port to listen on; 0 is a free one.
    """

    host: str = "127.0.0.1"
    port: Port = 9464


class GatewayConfiguration(_Settings):
    """Contents of the configuration file of `lexiseg watch`.

    Attributes:
        state: Folder of the queue, the received images and the quarantine. One gateway at a time uses it.
        sources: Where images come from, by name.
        rules: What is done with them.
        destinations: Where results go, by name.
        batch: Images per pass through the network.
        limits: When no more images are taken for a while.
        retries: How often something is tried again.
        delete_after_days: Days after which images that are done, and those that no rule fits, are deleted
            with their results; none keeps them. Quarantine is never deleted.
        forget_after_days: Days after which the hashes of a deleted image are deleted too. Until then an image
            that comes again is not predicted again. More than the `days` of each source of the kind dicomweb.
        monitoring: Health and figures; none opens no port.
        site_key_file: File with a secret of at least 32 characters, with which ids in logs are hashed; by
            default one is made in the state folder.
    """

    state: SomePath = Path("state")
    sources: dict[str, Source] = {}
    rules: tuple[Rule, ...] = Field(min_length=1)
    destinations: dict[str, Destination] = {}
    batch: Annotated[int, Field(ge=1, le=64)] = 8
    limits: Limits = Limits()
    retries: Retries = Retries()
    delete_after_days: Annotated[float, Field(ge=0)] | None = None
    forget_after_days: Annotated[float, Field(ge=0)] = 90.0
    monitoring: Monitoring | None = Monitoring()
    site_key_file: SomePath | None = None

    @model_validator(mode="after")
    def _known_while_asked_for(self) -> GatewayConfiguration:
        asked = [source.days for source in self.sources.values() if source.kind == "dicomweb"]
        # Images of today and of so many days before are asked for: a forgotten one would come as a new one.
        if self.delete_after_days is not None and asked and self.forget_after_days <= max(asked) + 1:
            raise ValueError(
                f"`forget_after_days` must be more than {max(asked) + 1}, because a source asks for the "
                f"images of the last {max(asked)} days: it would fetch forgotten ones again and again"
            )
        return self

    @model_validator(mode="after")
    def _fits_together(self) -> GatewayConfiguration:
        names = [rule.name for rule in self.rules]
        if len(names) != len(set(names)):
            raise ValueError("two rules have the same name")
        for rule in self.rules:
            for name in rule.send_to:
                if name not in self.destinations:
                    known = ", ".join(self.destinations) or "none"
                    raise ValueError(
                        f"rule {rule.name!r}: there is no destination {name!r}; there are: {known}"
                    )
                if self.destinations[name].kind != "folder" and not DICOM_FORMATS.intersection(rule.write):
                    raise ValueError(
                        f"rule {rule.name!r} writes nothing that {name!r} takes: add one of "
                        f"{', '.join(sorted(DICOM_FORMATS))} to `write`"
                    )
            lost = [name for name in rule.write if name not in DICOM_FORMATS]
            if lost and rule.send_to and all(self.destinations[n].kind != "folder" for n in rule.send_to):
                raise ValueError(
                    f"rule {rule.name!r}: only a folder takes {', '.join(lost)}, and the rule sends to none: "
                    "remove it from `write`, or add a destination of the kind folder to `send_to`"
                )
        return self
