"""The routes that take images: prediction and refinement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from lexiseg.errors import RequestError
from lexiseg.serving.access import needs
from lexiseg.serving.encoded_results import response_text
from lexiseg.serving.gate import RequestFacts, facts_of
from lexiseg.serving.interface import REFUSALS, form_body, json_answer, json_body
from lexiseg.serving.logs import request_id
from lexiseg.serving.models import ServedModel
from lexiseg.serving.records.predictions import PredictResponse, UrlRequest
from lexiseg.serving.records.refinements import RefineResponse
from lexiseg.serving.request_body import ImageForm, read_fields, read_images, read_json_body
from lexiseg.serving.request_forms import PredictForm, RefineForm
from lexiseg.serving.service import AnswerOptions, service_of
from lexiseg.serving.tokens import Holder

router = APIRouter(prefix="/v1", tags=["images"])

_Predicting = Annotated[Holder, Depends(needs("predict"))]


@router.post(
    "/predict",
    summary="Predict one or several images",
    response_model=PredictResponse,
    responses=REFUSALS,
    openapi_extra=form_body(PredictForm, several=True, also=json_body(UrlRequest)),
)
async def predict(request: Request, holder: _Predicting) -> Response:
    """Segment images: a mask with its outlines, the retrieved words, and a flag for review of each."""
    service = service_of(request)
    with service.bodies.share() as holding:
        async with service.in_time():
            if request.headers.get("content-type", "").partition(";")[0].strip() == "application/json":
                asked = await read_json_body(request, UrlRequest, service.limits, holding)
                fields = PredictForm(model=asked.model, preview=asked.preview, exact=asked.exact)
                fetched = await service.fetch(asked.urls, holding)
                form = ImageForm(fields={}, images=fetched)
            else:
                form = await read_images(request, service.limits, holding)
                fields = read_fields(PredictForm, form.fields)
            model = service.models.get(fields.model)
            options = AnswerOptions(preview=fields.preview, exact=fields.exact)
            results = await service.predict(model, form.uploads(fields.view), options)
    facts = facts_of(request.scope)
    _note(facts, model, [result.flagged for result in results])
    facts.failed = sum(result.failed for result in results)
    text = response_text(request_id.get(), model.version, results)
    return Response(text, media_type="application/json")


@router.post(
    "/refine",
    summary="Correct the mask of an image by words",
    response_model=RefineResponse,
    responses=REFUSALS,
    openapi_extra=form_body(RefineForm, several=False),
)
async def refine(request: Request, holder: _Predicting) -> Response:
    """Segment an image and correct its mask by what a person says: both masks, and who said which word."""
    service = service_of(request)
    with service.bodies.share() as holding:
        async with service.in_time():
            form = await read_images(request, service.limits, holding)
            if len(form.images) > 1:
                raise RequestError(
                    f"Refinement takes one image, got {len(form.images)}.", status=422, code="LEX-REQ-1125"
                )
            fields = read_fields(RefineForm, form.fields)
            model = service.models.get(fields.model)
            options = AnswerOptions(preview=fields.preview, exact=fields.exact)
            prediction, refined = await service.refine(
                model,
                form.uploads(fields.view)[0],
                fields.said,
                options,
                formats=fields.names,
                who=holder.name,
            )
    _note(facts_of(request.scope), model, [prediction.flagged])
    return json_answer(
        RefineResponse(
            request_id=request_id.get(), model=model.version, prediction=prediction, refined=refined
        )
    )


def _note(facts: RequestFacts, model: ServedModel, flagged: Sequence[bool]) -> None:
    """Note what the log says of a request."""
    facts.model, facts.version = model.record.name, model.record.version[:12]
    facts.images, facts.flagged = len(flagged), sum(flagged)
