"""The routes about models: what they are, and where their phrases act."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from lexiseg.errors import RequestError
from lexiseg.printable import printable
from lexiseg.serving.access import needs
from lexiseg.serving.interface import REFUSALS, json_answer
from lexiseg.serving.pictures import png
from lexiseg.serving.records.models import ModelsResponse
from lexiseg.serving.service import service_of
from lexiseg.serving.tokens import Holder
from lexiseg.serving.zone_picture import zone_picture

router = APIRouter(prefix="/v1/models", tags=["models"])

_Anybody = Annotated[Holder, Depends(needs(None))]


@router.get("", summary="List the models", response_model=ModelsResponse, responses=REFUSALS)
async def list_models(request: Request, holder: _Anybody) -> Response:
    """Return each model with its card, its version, its classes and its vocabulary."""
    models = service_of(request).models
    return json_answer(ModelsResponse(models=tuple(model.record for model in models.all())))


@router.get(
    "/{name}/zones/{factor}/{index}",
    summary="Show where a phrase acts",
    response_class=Response,
    responses={
        **REFUSALS,
        200: {
            "description": "Grey values: where the phrase acts, in the displayed frame of images.",
            "content": {"image/png": {"schema": {"type": "string", "format": "binary"}}},
        },
    },
)
async def zone(request: Request, holder: _Anybody, name: str, factor: str, index: int) -> Response:
    """Return a small picture, 64 x 64 grey values, that covers the whole image."""
    run = service_of(request).models.get(name).predictor.run
    vocabulary = run.spoken_vocabulary
    names = () if vocabulary is None else vocabulary.names
    picture = None
    if vocabulary is not None and factor in names:
        position = names.index(factor)
        if 0 <= index < vocabulary.sizes[position]:
            picture = zone_picture(run, vocabulary, position, index)
    if picture is None:
        raise RequestError(
            f"The model {name} does not know where the phrase {index} of {printable(factor)[:80]!r} acts; "
            "/v1/models says of which phrases it does.",
            status=404,
            code="LEX-REQ-1134",
        )
    return Response(png(picture), media_type="image/png")
