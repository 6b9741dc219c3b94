"""The fields of requests besides their files."""

from __future__ import annotations

from pydantic import Field

from lexiseg.clinic.view import View, parse_view
from lexiseg.clinic.volume_geometry import AxisName
from lexiseg.errors import RequestError
from lexiseg.json_records import Record
from lexiseg.serving.jobs.job import JobSettings
from lexiseg.serving.records.common import PreviewChoice
from lexiseg.structured_text import UnusableTextError, parse_json

_LONGEST_SAYING, _LONGEST_FORMATS = 10_000, 200


class PredictForm(Record):
    """The fields of POST /v1/predict besides the images.

    Attributes:
        model: Name of the model; None takes the default one.
        preview: Which results get a preview.
        exact: Whether results hold an `ExactRecord`.
        window: DICOM: centre and width of the grey values shown, such as "40,400", or "body-part"; None for
            the window of the file.
        frame: DICOM: number of the frame, from 1, in files with several frames.
    """

    model: str | None = None
    preview: PreviewChoice = "dicom"
    exact: bool = False
    window: str | None = None
    frame: int | None = Field(default=None, ge=1)

    @property
    def view(self) -> View:
        """What of a DICOM file is shown.

        Raises:
            UsageError: The window cannot be read.
        """
        return parse_view(self.window, self.frame)


class RefineForm(PredictForm):
    """The fields of POST /v1/refine besides the image; see `PredictForm`.

    Attributes:
        say: What is right: free text, or a JSON object with a phrase per factor.
        formats: DICOM objects of the corrected mask, separated by commas: some of seg, labelmap and sr.
    """

    say: str = Field(min_length=1, max_length=_LONGEST_SAYING)
    formats: str = Field(default="", max_length=_LONGEST_FORMATS)

    @property
    def said(self) -> str | dict[str, str]:
        """What is right, as text, or as a phrase per factor.

        Raises:
            RequestError: It begins like a JSON object and is none of texts.
        """
        return _said(self.say)

    @property
    def names(self) -> tuple[str, ...]:
        """The DICOM objects, each once."""
        return _names(self.formats)


class JobForm(Record):
    """The fields of POST /v1/jobs besides the files.

    Attributes:
        model: Name of the model; None takes the default one.
        formats: The outputs, separated by commas, as in `lexiseg predict --write`. With `say`: mask, seg,
            labelmap and sr.
        window: DICOM files and volumes: centre and width of the grey values shown, such as "40,400", or
            "body-part"; None for the window of the file.
        frame: DICOM: number of the frame, from 1, in files with several frames.
        axis: Volumes: the slices, as in `lexiseg predict --axis`.
        smooth_slices: Volumes: whether each probability is averaged with those of the two neighbouring
            slices.
        single_slices: Whether slices of DICOM series are images of their own.
        say: What is right of the only image: free text, or a JSON object with a phrase per factor. The
            outputs are then those of the corrected mask.
    """

    model: str | None = None
    formats: str = Field(default="mask", max_length=_LONGEST_FORMATS)
    window: str | None = None
    frame: int | None = Field(default=None, ge=1)
    axis: AxisName = "auto"
    smooth_slices: bool = False
    single_slices: bool = False
    say: str | None = Field(default=None, max_length=_LONGEST_SAYING)

    @property
    def names(self) -> tuple[str, ...]:
        """The outputs, each once."""
        return _names(self.formats)

    def settings(self, who: str) -> JobSettings:
        """Return what the job writes, and how.

        Args:
            who: Name of the token with which it is made.

        Raises:
            UsageError: The window cannot be read.
            RequestError: What is said cannot be read.
        """
        return JobSettings(
            formats=self.names,
            view=parse_view(self.window, self.frame),
            axis=self.axis,
            smooth_slices=self.smooth_slices,
            single_slices=self.single_slices,
            said=None if self.say is None else _said(self.say),
            who=who,
        )


def _names(formats: str) -> tuple[str, ...]:
    names = (name.strip() for name in formats.split(","))
    return tuple(dict.fromkeys(name for name in names if name))


def _said(say: str) -> str | dict[str, str]:
    if not say.lstrip().startswith("{"):
        return say
    try:
        said = parse_json(say)
    except UnusableTextError as error:
        raise RequestError(
            f"The field 'say' begins like a JSON object and cannot be read ({error}). Send free text, or "
            'an object such as {"left": "lower left lung"}.',
            status=422,
            code="LEX-REQ-1114",
        ) from error
    if not said or not all(isinstance(phrase, str) for phrase in said.values()):
        raise RequestError(
            "The field 'say' must hold a phrase for each factor that it names, such as "
            '{"left": "lower left lung"}.',
            status=422,
            code="LEX-REQ-1115",
        )
    return dict(said)
