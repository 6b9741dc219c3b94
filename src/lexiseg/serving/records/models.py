"""Records of models: what the server says of each, and its vocabulary."""

from __future__ import annotations

from lexiseg.data.image_fit import Fit
from lexiseg.json_records import Record
from lexiseg.words.description import ShownSide


class PhraseRecord(Record):
    """One phrase of a factor.

    Attributes:
        index: Its position in the factor's list, from 0.
        phrase: The phrase.
        moves_mask: Whether refinement can move a mask by this phrase.
        has_zone: Whether /v1/models/{name}/zones/{factor}/{index} shows where it acts.
    """

    index: int
    phrase: str
    moves_mask: bool
    has_zone: bool


class FactorRecord(Record):
    """One factor of a vocabulary.

    Attributes:
        name: Name of the factor.
        title: Its title, for people.
        phrases: Its phrases.
    """

    name: str
    title: str
    phrases: tuple[PhraseRecord, ...]


class VocabularyRecord(Record):
    """The vocabulary of a model.

    Attributes:
        name: Its name.
        title: Its title, for people.
        factors: The factors, coarse to fine.
    """

    name: str
    title: str
    factors: tuple[FactorRecord, ...]


class ModelRecord(Record):
    """One model of the server.

    Attributes:
        name: Its name, for the field `model` of requests.
        version: SHA-256 of the files of the run that its results depend on.
        weights_sha256: SHA-256 of its weights.
        loaded: When it was loaded: ISO date and time, UTC.
        trained_with: Version of Lexiseg that wrote the run.
        is_default: Whether requests that name no model get it.
        classes: Name per label; index 0 is the background.
        image_size: Rows and columns of the square pictures that the network sees.
        fit: How an image fits them: "stretch": it is resized; "pad": it is resized with its aspect ratio
            kept, with black beside it; "tiles": windows at its own pixels, and the whole image once.
        side: Whose left is meant in its words; "unknown" for sentences of a sheet whose side nothing states;
            None without words.
        vocabulary: Its vocabulary; None for a model without words.
        can_refine: Whether words can move its masks.
        is_calibrated: Whether it expects a Dice of each mask.
        knows_training_images: Whether it notices images that are unlike its training images.
        engine: What computes the network.
        card: Its model card in Markdown; empty where the run has none.
    """

    name: str
    version: str
    weights_sha256: str
    loaded: str
    trained_with: str
    is_default: bool
    classes: tuple[str, ...]
    image_size: int
    fit: Fit
    side: ShownSide | None
    vocabulary: VocabularyRecord | None
    can_refine: bool
    is_calibrated: bool
    knows_training_images: bool
    engine: str
    card: str


class ModelsResponse(Record):
    """The answer of GET /v1/models.

    Attributes:
        models: The models, the default one first.
    """

    models: tuple[ModelRecord, ...]
