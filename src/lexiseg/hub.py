"""Files of pretrained models: from installed packages, and from the Hugging Face hub."""

from __future__ import annotations

import importlib.util
import socket
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

from huggingface_hub import constants, hf_hub_download, try_to_load_from_cache

from lexiseg.errors import WeightsError
from lexiseg.open_files import too_many_open

#: Names that start like this are paths, not names on the hub, which is not asked for them.
PATH_STARTS = (".", "/", "~")

_PROBE_TIMEOUT_S = 3.0


def packaged_path(package: str, *parts: str) -> Path | None:
    """Return a file or folder of an installed package without importing it; None if it does not exist."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    path = Path(spec.submodule_search_locations[0]).joinpath(*parts)
    return path if path.exists() else None


def hub_is_reachable() -> bool:
    """Return whether the hub can be used: `HF_HUB_OFFLINE` is not set, and its host answers within seconds.

    The hub's client retries for half a minute; without a network this check avoids the wait.
    """
    if constants.HF_HUB_OFFLINE:
        return False
    url = urlsplit(constants.ENDPOINT)
    if url.scheme in urllib.request.getproxies():
        return True  # The proxy resolves the host; a failure shows in the request itself.
    try:
        port = url.port or (443 if url.scheme == "https" else 80)
        with socket.create_connection((url.hostname, port), timeout=_PROBE_TIMEOUT_S):
            return True
    except OSError:
        return False


def why_offline() -> str:
    """Return why `hub_is_reachable` is false."""
    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set"
    return f"{constants.ENDPOINT} does not answer"


def is_cached(repository: str, name: str) -> bool:
    """Return whether the local cache holds a file of a hub repository; no request is made."""
    try:
        return isinstance(try_to_load_from_cache(repository, name), str)
    except ValueError:  # not a valid repository name
        return False


def hub_file(repository: str, name: str) -> Path:
    """Return the local copy of a file of a hub repository; download it if it is not in the local cache.

    Args:
        repository: Hub repository, `owner/name`.
        name: File inside it.

    Raises:
        WeightsError: The hub cannot be reached and the file is not in the cache, or the hub does not have it.
        DiskError: Too many files are open.
    """
    online = hub_is_reachable()
    try:
        return Path(hf_hub_download(repository, name, local_files_only=not online))
    # The client's errors are OSError, and ValueError for invalid repository names.
    except (OSError, ValueError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0] if online else why_offline()
        raise too_many_open(name, error) or WeightsError(
            f"'{name}' of '{repository}' is not in the Hugging Face cache and cannot be downloaded: "
            f"{reason}.",
            code="LEX-WEIGHTS-001",
        ) from error
