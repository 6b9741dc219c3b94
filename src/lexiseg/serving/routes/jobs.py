"""The routes about jobs: many images, and volumes, in the background."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated, BinaryIO

from fastapi import APIRouter, Depends, Request
from fastapi.responses import FileResponse, Response, StreamingResponse

from lexiseg.data.portable_names import stored_name
from lexiseg.errors import RequestError
from lexiseg.files import disk_errors, fitting_name, private_opener
from lexiseg.inference.writers.loading import make_writers
from lexiseg.inference.writers.mask import MaskWriter
from lexiseg.refinement.refine import statement_for
from lexiseg.serving.access import needs
from lexiseg.serving.corrected_files import check_corrected
from lexiseg.serving.gate import asks_for_headers_only, facts_of
from lexiseg.serving.interface import REFUSALS, form_body, json_answer
from lexiseg.serving.jobs.archives import check_zip, is_zip
from lexiseg.serving.jobs.job import Job, JobSettings
from lexiseg.serving.jobs.work import check_served
from lexiseg.serving.limits import Limits
from lexiseg.serving.models import ServedModel
from lexiseg.serving.records.jobs import JobRecord, JobsResponse
from lexiseg.serving.request_body import read_fields, read_files, stated_bytes
from lexiseg.serving.request_forms import JobForm
from lexiseg.serving.service import service_of
from lexiseg.serving.tokens import Holder

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

_Owner = Annotated[Holder, Depends(needs("jobs"))]
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_KINDS = (
    "A PNG, JPEG, TIFF, BMP, WebP, DICOM, NIfTI, MHA or NRRD file, or a zip file of such files or of DICOM "
    "series."
)


@router.post(
    "",
    summary="Predict many images, or volumes, in the background",
    status_code=202,
    response_model=JobRecord,
    responses=REFUSALS,
    openapi_extra=form_body(JobForm, several=True, kinds=_KINDS),
)
async def create_job(request: Request, owner: _Owner) -> Response:
    """Keep images and volumes in a private folder until they are predicted; outputs become one zip file."""
    service = service_of(request)
    limits = service.limits
    stated = stated_bytes(request, limits.job_bytes)
    with service.jobs.place() as place:
        place.hold(stated)
        number, folder = await service.jobs.new_folder()
        try:
            async with service.upload_time():
                uploads, fields = await _store(request, folder, limits)
            settings, model = fields.settings(owner.name), service.models.get(fields.model)
            place.hold(await asyncio.to_thread(_checked, settings, model, uploads, limits))
            job = service.jobs.add(
                number,
                folder,
                owner=owner.name,
                model=model,
                settings=settings,
                uploads=uploads,
                held_bytes=place.held_bytes,
            )
        except BaseException:
            await service.jobs.discard(folder)
            raise
    facts = facts_of(request.scope)
    facts.model, facts.version, facts.images = model.record.name, model.record.version[:12], len(uploads)
    return json_answer(job.record, 202)


@router.get("", summary="List the jobs", response_model=JobsResponse, responses=REFUSALS)
async def list_jobs(request: Request, owner: _Owner) -> Response:
    """Return the jobs that were made with the same token."""
    jobs = service_of(request).jobs.of(owner.name)
    return json_answer(JobsResponse(jobs=tuple(job.record for job in jobs)))


@router.get("/{number}", summary="Say how far a job is", response_model=JobRecord, responses=REFUSALS)
async def read_job(request: Request, owner: _Owner, number: str) -> Response:
    """Return the state of a job."""
    return json_answer(service_of(request).jobs.get(number, owner.name).record)


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
    """Return an event whenever the job has changed, until it ends; headers alone come at once."""
    service = service_of(request)
    job = service.jobs.get(number, owner.name)

    async def events() -> AsyncIterator[str]:
        if asks_for_headers_only(request.scope):
            return
        async for name, changed in service.jobs.progress(job):
            if service.tokens is not None and not service.tokens.knows(owner):
                return  # the next request says why
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
    if job.record.state != "done":
        raise RequestError(
            f"The job has no result: it is {job.record.state}. Its events say when it is done.",
            status=409,
            code="LEX-REQ-1139",
        )
    return FileResponse(
        job.zip_file, media_type="application/zip", filename=f"lexiseg-{job.record.id[:8]}.zip"
    )


@router.delete("/{number}", summary="Cancel and remove a job", response_model=JobRecord, responses=REFUSALS)
async def delete_job(request: Request, owner: _Owner, number: str) -> Response:
    """Cancel a job that has not ended, and remove its images and outputs."""
    jobs = service_of(request).jobs
    job = jobs.get(number, owner.name)
    if clearing := jobs.remove(job):
        await clearing
    return json_answer(job.record)


async def _store(request: Request, folder: Path, limits: Limits) -> tuple[dict[Path, str], JobForm]:
    """Write the files of a request into a folder; return them with their names, and the other fields."""
    opened: list[tuple[Path, BinaryIO]] = []

    def open_next(name: str) -> BinaryIO:
        # A folder of its own: several files may have the same name.
        own = folder / f"{len(opened) + 1}"
        path = own / fitting_name(stored_name(name))
        with disk_errors(path):
            own.mkdir(mode=0o700)
            file = open(path, "xb", opener=private_opener)  # noqa: SIM115 - what reads the request closes it
        opened.append((path, file))
        return file

    try:
        form = await read_files(request, limits, open_next)
    except BaseException:
        # The request ended within a file. What its last bytes meet is no error besides the one that ended it.
        with suppress(OSError):
            if opened:
                opened[-1][1].close()
        raise
    uploads = {path: file.name for (path, _), file in zip(opened, form.files, strict=True)}
    return uploads, read_fields(JobForm, form.fields)


def _checked(settings: JobSettings, model: ServedModel, uploads: dict[Path, str], limits: Limits) -> int:
    """Refuse a job that cannot be carried out; return the bytes that its zip files hold.

    Raises:
        LexisegError: An output is not written, words cannot be read, or a zip file holds too much.
    """
    check_served(settings.formats)
    make_writers(settings.formats)
    if settings.said is not None:
        check_corrected([name for name in settings.formats if name != MaskWriter.name])
        statement_for(model.predictor, settings.said)
    return sum(check_zip(path, name, limits) for path, name in uploads.items() if is_zip(name))


def _event(name: str, job: Job) -> str:
    return f"event: {name}\ndata: {job.record.model_dump_json()}\n\n"
