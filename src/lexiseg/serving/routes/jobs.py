"""The routes about jobs: many images at once, in the background."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, BinaryIO

from fastapi import APIRouter, Depends, Request
from fastapi.responses import FileResponse, Response, StreamingResponse

from lexiseg.errors import RequestError
from lexiseg.files import disk_errors, fitting_name
from lexiseg.inference.writers.registry import make_writers
from lexiseg.serving.access import needs
from lexiseg.serving.gate import facts_of
from lexiseg.serving.interface import REFUSALS, form_body, json_answer
from lexiseg.serving.jobs.job import Job
from lexiseg.serving.jobs.private_folder import open_private
from lexiseg.serving.jobs.work import check_served
from lexiseg.serving.limits import Limits
from lexiseg.serving.records.jobs import JobRecord, JobsResponse
from lexiseg.serving.request_body import JobForm, read_fields, read_files
from lexiseg.serving.service import service_of
from lexiseg.serving.tokens import Holder

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

_Owner = Annotated[Holder, Depends(needs("jobs"))]
_BINARY = {"schema": {"type": "string", "format": "binary"}}


@router.post(
    "",
    summary="Predict many images in the background",
    status_code=202,
    response_model=JobRecord,
    responses=REFUSALS,
    openapi_extra=form_body(JobForm, several=True),
)
async def create_job(request: Request, owner: _Owner) -> Response:
    """Keep images in a private folder until they are predicted; their outputs become one zip file."""
    service = service_of(request)
    with service.jobs.place():
        number, folder = service.jobs.new_folder()
        try:
            images, fields = await _store(request, folder, service.limits)
            formats = fields.names
            check_served(formats)
            make_writers(formats)
            model = service.models.get(fields.model)
            job = service.jobs.add(
                number, folder, owner=owner.name, model=model, formats=formats, images=images
            )
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
    facts = facts_of(request.scope)
    facts.model, facts.version, facts.images = model.record.name, model.record.version[:12], len(images)
    return json_answer(job.record(), 202)


@router.get("", summary="List the jobs", response_model=JobsResponse, responses=REFUSALS)
async def list_jobs(request: Request, owner: _Owner) -> Response:
    """Return the jobs that were made with the same token."""
    jobs = service_of(request).jobs.of(owner.name)
    return json_answer(JobsResponse(jobs=tuple(job.record() for job in jobs)))


@router.get("/{number}", summary="Say how far a job is", response_model=JobRecord, responses=REFUSALS)
async def read_job(request: Request, owner: _Owner, number: str) -> Response:
    """Return the state of a job."""
    return json_answer(service_of(request).jobs.get(number, owner.name).record())


@router.get(
    "/{number}/events",
    summary="Follow a job",
    response_class=Response,
    responses={
        **REFUSALS,
        200: {
            "description": "Server-sent events: progress, and end as the last. Their data is a JobRecord.",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        },
    },
)
async def follow_job(request: Request, owner: _Owner, number: str) -> Response:
    """Return an event whenever the job has changed, until it ends."""
    jobs = service_of(request).jobs
    job = jobs.get(number, owner.name)

    async def events() -> AsyncIterator[str]:
        async for name, changed in jobs.progress(job):
            yield ":\n\n" if name == "alive" else _event(name, changed)

    return StreamingResponse(events(), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


@router.get(
    "/{number}/result",
    summary="Download the outputs of a job",
    response_class=Response,
    responses={
        **REFUSALS,
        200: {"description": "The outputs and predictions.jsonl.", "content": {"application/zip": _BINARY}},
        409: {"model": REFUSALS[404]["model"], "description": "The job has no result, or not yet."},
    },
)
async def read_result(request: Request, owner: _Owner, number: str) -> Response:
    """Return the outputs of a finished job as a zip file."""
    job = service_of(request).jobs.get(number, owner.name)
    if job.state != "done":
        raise RequestError(
            f"The job has no result: it is {job.state}. Its events say when it is done.",
            status=409,
            code="LEX-REQ-1139",
        )
    return FileResponse(job.zip_file, media_type="application/zip", filename=f"lexiseg-{job.id[:8]}.zip")


@router.delete("/{number}", summary="Cancel and remove a job", response_model=JobRecord, responses=REFUSALS)
async def delete_job(request: Request, owner: _Owner, number: str) -> Response:
    """Cancel a job that has not ended, and remove its images and outputs."""
    jobs = service_of(request).jobs
    job = jobs.get(number, owner.name)
    jobs.remove(job)
    return json_answer(job.record())


async def _store(request: Request, folder: Path, limits: Limits) -> tuple[dict[Path, str], JobForm]:
    """Write the images of a request into a folder; return them with their names, and the other fields."""
    opened: list[tuple[Path, BinaryIO]] = []

    def open_next(name: str) -> BinaryIO:
        # A folder of its own: several images may have the same name.
        own = folder / f"{len(opened) + 1}"
        with disk_errors(own):
            own.mkdir(mode=0o700)
        path = own / fitting_name(name)
        opened.append((path, open_private(path)))
        return opened[-1][1]

    try:
        form = await read_files(request, limits, open_next)
    finally:
        for _, file in opened:
            file.close()
    images = {path: file.name for (path, _), file in zip(opened, form.files, strict=True)}
    return images, read_fields(JobForm, form.fields)


def _event(name: str, job: Job) -> str:
    return f"event: {name}\ndata: {job.record().model_dump_json()}\n\n"
