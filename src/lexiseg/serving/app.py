"""The application: routes, gate and page, put together from the options of a server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from lexiseg._version import __version__
from lexiseg.errors import RequestError
from lexiseg.printable import printable
from lexiseg.serving.batching import BatchSettings
from lexiseg.serving.gate import Gate, facts_of, refusal_of
from lexiseg.serving.image_addresses import ImageAddresses
from lexiseg.serving.interface import describe_interface
from lexiseg.serving.isolated_decoding import IsolatedDecoding
from lexiseg.serving.jobs.job_list import JobList
from lexiseg.serving.limits import Budget
from lexiseg.serving.metrics import Metrics
from lexiseg.serving.model_watch import ModelWatch
from lexiseg.serving.models import Models
from lexiseg.serving.options import ServeOptions
from lexiseg.serving.page_files import add_page
from lexiseg.serving.routes import health, jobs, models, prediction
from lexiseg.serving.security import SecurityHeaders
from lexiseg.serving.service import Service
from lexiseg.serving.tokens import Tokens
from lexiseg.serving.tracing import Tracing


def make_app(options: ServeOptions) -> FastAPI:
    """Return the application of a server; its models are loaded when it starts.

    Args:
        options: How the server is set up.

    Raises:
        UsageError: There is no token file, or two runs have the same name.
        DataError: The token file is damaged.
    """
    limits, metrics = options.limits, Metrics()
    decoding = IsolatedDecoding(options.decoders, limits)
    computing = ThreadPoolExecutor(1, thread_name_prefix="lexiseg-compute")
    finishing = ThreadPoolExecutor(2, thread_name_prefix="lexiseg-finish")
    served = Models(
        options.runs,
        options.prediction,
        BatchSettings(most=options.prediction.batch_size, max_wait=options.max_wait, waiting=limits.waiting),
        executor=computing,
        finishing=finishing,
        decoding=decoding,
        on_batch=metrics.batch,
        on_load=metrics.model_loaded,
    )
    service = Service(
        limits=limits,
        metrics=metrics,
        tokens=None if options.token_file is None else Tokens(options.token_file),
        models=served,
        watch=ModelWatch(served, options.watch_seconds),
        decoding=decoding,
        computing=computing,
        finishing=finishing,
        jobs=JobList(limits, metrics),
        bodies=Budget(limits.held_bytes),
        addresses=ImageAddresses(options.image_hosts) if options.image_hosts else None,
    )

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await service.start()
        try:
            yield
        finally:
            await service.stop()

    app = FastAPI(
        title="Lexiseg",
        version=__version__,
        lifespan=lifespan,
        # These pages load scripts from other hosts.
        docs_url=None,
        redoc_url=None,
        # A redirect has no message, and behind a proxy it can name an address that others do not reach.
        redirect_slashes=False,
        exception_handlers={HTTPException: _on_http_error, RequestValidationError: _on_invalid},
    )
    app.state.service = service
    for routes in (prediction, models, jobs, health):
        app.include_router(routes.router)
    add_page(app)
    describe_interface(app)
    app.add_middleware(Gate, limits=limits, metrics=metrics, names=options.names)
    if options.trace:
        app.add_middleware(Tracing)
    app.add_middleware(SecurityHeaders, tls=options.tls_certificate is not None)
    return app


async def _on_http_error(request: Request, error: Exception) -> Response:
    """Answer a request for which there is no route."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    # The path as it came: a proxy may have added or left out a part.
    path = printable(request.url.path)[:200]
    refused = RequestError(
        f"There is no address {path}; /openapi.json lists all."
        if status == 404
        else f"The address {path} does not take {request.method}; /openapi.json says what it takes.",
        status=status,
        code="LEX-REQ-1135",
    )
    facts_of(request.scope).code = refused.code
    answer = refusal_of(refused)
    for name, value in (getattr(error, "headers", None) or {}).items():
        answer.headers[name] = value
    return answer


async def _on_invalid(request: Request, error: Exception) -> Response:
    """Answer a request whose path or query cannot be used."""
    places = ""
    if isinstance(error, RequestValidationError):
        found = error.errors()[0]
        places = f" {found['loc'][-1]}: {found['msg']}."
    refused = RequestError(f"The request cannot be used.{places}", status=422, code="LEX-REQ-1136")
    facts_of(request.scope).code = refused.code
    return refusal_of(refused)
