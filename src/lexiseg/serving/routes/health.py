"""The routes that watch the server: whether it lives, whether it is ready, and its metrics."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from lexiseg._version import __version__
from lexiseg.prometheus_text import PROMETHEUS_TYPE
from lexiseg.serving.access import needs
from lexiseg.serving.interface import REFUSALS, json_answer
from lexiseg.serving.records.common import ErrorRecord
from lexiseg.serving.records.health import HealthRecord, ModelState, ReadyRecord
from lexiseg.serving.service import service_of
from lexiseg.serving.tokens import Holder

router = APIRouter(tags=["health"])

_NOT_READY: dict[int | str, dict[str, Any]] = {
    503: {"model": ReadyRecord, "description": "The server is stopping, or it cannot read its token file."}
}


@router.get("/healthz", summary="Say whether the server lives", response_model=HealthRecord)
async def health() -> Response:
    """Return "ok" as long as the server answers at all."""
    return json_answer(HealthRecord(status="ok", version=__version__))


@router.get(
    "/readyz",
    summary="Say whether the server takes requests",
    response_model=ReadyRecord,
    responses=_NOT_READY,
)
async def ready(request: Request) -> Response:
    """Return "ok" until the server begins to end or accepts no token, and the state of each model."""
    service = service_of(request)
    unread = None if service.tokens is None else service.tokens.problem()
    found = ReadyRecord(
        status="stopping" if service.stopping else "ok" if unread is None else "no_token_valid",
        version=__version__,
        models=tuple(
            ModelState(
                name=model.record.name,
                version=model.record.version,
                loaded=model.record.loaded,
                problem=service.models.problems.get(model.record.name),
            )
            for model in service.models.all()
        ),
        # Without its path, which is nobody's business outside.
        tokens=None
        if unread is None
        else ErrorRecord(
            code=unread.code,
            message="The token file cannot be read, so no token is valid. The log says more.",
        ),
    )
    return json_answer(found, 200 if found.status == "ok" else 503)


@router.get(
    "/metrics",
    summary="Give metrics to Prometheus",
    response_class=Response,
    responses={
        200: {"description": "Metrics.", "content": {"text/plain": {"schema": {"type": "string"}}}},
        **{status: REFUSALS[status] for status in (401, 403)},
    },
)
async def metrics(request: Request, holder: Annotated[Holder, Depends(needs("metrics"))]) -> Response:
    """Return latency, queue, images, flags, images that are unlike the training images, and words."""
    service = service_of(request)
    waiting = {model.record.name: model.batcher.reserved for model in service.models.all()}
    return Response(
        service.metrics.text(waiting, problems=service.models.problems.keys()), media_type=PROMETHEUS_TYPE
    )
