"""The process of a server: its socket, its signals, and its end in order."""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import os
import signal
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

import uvicorn
from fastapi import FastAPI

from lexiseg.errors import LexisegError, UsageError
from lexiseg.open_files import open_errors
from lexiseg.serving.app import make_app
from lexiseg.serving.logs import log_to_stderr
from lexiseg.serving.options import ServeOptions
from lexiseg.serving.service import Service

_log = logging.getLogger("lexiseg.serving")

_KEEP_ALIVE_SECONDS = 15
_LONGEST_HEADERS = 32 << 10
_OBJECTS_PER_COLLECTION = 20_000
# Far above what the limits of the server use, as clients may hold connections on which they send nothing.
_OPEN_FILES = 16_384


class Server(uvicorn.Server):
    """A server that ends in order at Ctrl-C and SIGTERM, and loads its models again at SIGHUP.

    Args:
        config: Settings of uvicorn.
        on_start: Called once requests are taken.
        on_hangup: Called at SIGHUP.
        on_stop: Called when it begins to end.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        *,
        on_start: Callable[[], None],
        on_hangup: Callable[[], None],
        on_stop: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self._on_start, self._on_hangup, self._on_stop = on_start, on_hangup, on_stop

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to take requests."""
        await super().startup(sockets)
        if self.started:
            self._on_start()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle signals while the server runs; those that end it do not end the process a second time."""
        hangup = [signal.SIGHUP] if hasattr(signal, "SIGHUP") else []
        before = {
            number: signal.signal(number, self._handle) for number in (signal.SIGINT, signal.SIGTERM, *hangup)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if number not in (signal.SIGINT, signal.SIGTERM):
            self._on_hangup()
            return
        # The second one ends requests that are still running.
        self.force_exit = self.should_exit
        self.should_exit = True
        self._on_stop()


def serve(options: ServeOptions, *, on_start: Callable[[str], None]) -> None:
    """Serve until a signal ends it; requests that are running end first.

    Args:
        options: How the server is set up.
        on_start: Told the address, once requests are taken.

    Raises:
        UsageError: The address cannot be listened on, the certificate or its key cannot be used, or an
            option is not possible.
        LexisegError: A run cannot be loaded.
    """
    log_to_stderr()
    _allow_open_files()
    _check_certificate(options)
    app = make_app(options)
    service: Service = app.state.service
    listening = _listen(options.host, options.port)
    scheme = "http" if options.tls_certificate is None else "https"
    shown = f"[{options.host}]" if ":" in options.host else options.host
    address = f"{scheme}://{shown}:{listening.getsockname()[1]}"
    config = _uvicorn_config(app, options)
    with listening, asyncio.Runner() as runner:
        loop = runner.get_loop()

        # The loop itself keeps no task alive.
        reloads: set[asyncio.Task[None]] = set()

        def reload() -> None:
            task = loop.create_task(reload_models(service))
            reloads.add(task)
            task.add_done_callback(reloads.discard)

        def hangup() -> None:
            loop.call_soon_threadsafe(reload)

        def stop() -> None:
            service.stopping = True
            # Nobody could fetch their outputs any more, and the server would wait for who follows them.
            loop.call_soon_threadsafe(service.jobs.end)

        # Before the server is one: what goes wrong here is an error of the command.
        runner.run(service.start())
        _rest_collector()

        def start() -> None:
            _log.info("listening", extra={"address": address})
            on_start(address)

        server = Server(config, on_start=start, on_hangup=hangup, on_stop=stop)
        runner.run(server.serve([listening]))


def _uvicorn_config(app: FastAPI, options: ServeOptions) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=options.behind_proxy,
        timeout_graceful_shutdown=options.stop_seconds,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        h11_max_incomplete_event_size=_LONGEST_HEADERS,
        ssl_certfile=options.tls_certificate,
        ssl_keyfile=options.tls_key,
    )


async def reload_models(service: Service) -> None:
    """Load all models again; where that fails, those that are loaded stay, and the log says why."""
    try:
        await service.models.load()
    except LexisegError as error:
        _log.error("the models are not replaced", extra={"code": error.code})
        return
    except Exception as error:
        _log.error("the models are not replaced, for a defect of the server", exc_info=error)
        return
    versions = {model.record.name: model.record.version[:12] for model in service.models.all()}
    _log.info("the models are replaced", extra={"versions": versions})


def _allow_open_files() -> None:
    """Raise the limit of open files of this process, of which each connection is one, as far as it may."""
    try:
        import resource
    except ModuleNotFoundError:  # Windows
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(_OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        # macOS refuses what is above a limit that is not told here.
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _rest_collector() -> None:
    """Let the garbage collector look at what requests leave behind, and not at all that was loaded before.

    A look at everything takes a tenth of a second, in which nothing is answered.
    """
    gc.collect()
    gc.freeze()
    # An answer holds thousands of objects that end with it: no reason to look.
    gc.set_threshold(_OBJECTS_PER_COLLECTION, *gc.get_threshold()[1:])


def _check_certificate(options: ServeOptions) -> None:
    """Refuse a certificate and a key that cannot be used, before any model is loaded.

    Raises:
        UsageError: A file is missing, is no PEM file, or asks for a password; or the two do not fit together.
    """
    certificate, key = options.tls_certificate, options.tls_key
    if certificate is None or key is None:
        return
    try:
        # A password that is none: a server that starts by itself has nobody who could type one.
        with open_errors(certificate):
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password="")
    except (OSError, ValueError) as error:
        raise UsageError(
            f"The certificate {certificate} and the key {key} cannot be used ({error}). Give two PEM files "
            "that belong together, with a key that has no password.",
            code="LEX-USE-1114",
        ) from error


#: Why a port cannot be used, by the number of the error.
_PORT_REASONS: dict[int | None, str] = {
    errno.EADDRINUSE: "another program uses this port",
    errno.EACCES: "this user may not use this port",
}


def _reason(error: OSError | OverflowError) -> str:
    """Return what the system says of an address, without numbers of errors and calls of Python."""
    # The numbers of unknown hosts are not those of the system's errors.
    number = error.errno if isinstance(error, OSError) and not isinstance(error, socket.gaierror) else None
    if number is not None and number > 0:
        said = os.strerror(number)
    else:
        said = getattr(error, "strerror", None) or str(error)
    return said[:1].lower() + said[1:]


def _listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Raises:
        UsageError: The address does not exist here, or is taken.
    """
    try:
        listening = socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=512
        )
        # Its connections inherit this; asyncio sets it only where a socket states its protocol. Without it,
        # the end of an answer waits 40 ms for the client to confirm its beginning.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listening
    except (OSError, OverflowError) as error:
        reason = _PORT_REASONS.get(getattr(error, "errno", None))
        remedy = "Choose another --port, or 0 for a free one." if reason else "Choose another --host."
        raise UsageError(
            f"The server cannot listen at {host}, port {port}: {reason or _reason(error)}. {remedy}",
            code="LEX-USE-1112",
        ) from error
