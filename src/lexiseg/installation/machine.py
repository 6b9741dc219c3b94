"""Devices and folders of the machine."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from pathlib import Path

from lexiseg.extras import is_installed
from lexiseg.installation.report import DeviceState, Finding, FolderState

#: Below this free space, a folder gets a note.
_LITTLE_GB = 1.0


def devices() -> tuple[DeviceState, ...]:
    """Return the processor, and the GPUs that torch finds; none where torch is broken."""
    found = [DeviceState(name="cpu", title=platform.processor() or platform.machine())]
    if is_installed("torch"):
        try:
            import torch
        # A broken package can raise anything; the self-test of its engine says what.
        except Exception:
            return tuple(found)
        for number in range(torch.cuda.device_count()):
            about = torch.cuda.get_device_properties(number)
            memory = round(about.total_memory / 1e9, 1)
            found.append(DeviceState(name=f"cuda:{number}", title=about.name, memory_gb=memory))
    return tuple(found)


def device_findings(found: tuple[DeviceState, ...]) -> list[Finding]:
    """Return whether the machine seems to have a GPU that torch does not find."""
    if len(found) > 1 or shutil.which("nvidia-smi") is None:
        return []
    text = "torch is not installed" if not is_installed("torch") else "torch finds no GPU"
    return [
        Finding(
            kind="note",
            text=f"The machine has the program nvidia-smi, but {text}.",
            remedy="To use the GPU, install a build of torch for CUDA (https://pytorch.org/get-started).",
        )
    ]


def folders() -> tuple[FolderState, ...]:
    """Return the folders that are written to."""
    return (
        _state("Current folder", Path.cwd()),
        _state("Temporary files", Path(tempfile.gettempdir())),
        _state("Cache of Hugging Face (text encoders, CLIPSeg)", _hugging_face_cache()),
    )


def folder_findings(found: tuple[FolderState, ...]) -> list[Finding]:
    """Return folders in which nothing can be written, and disks that are almost full."""
    findings = []
    for folder in found:
        if not folder.writable:
            findings.append(
                Finding(
                    # Prediction can write elsewhere than into the current folder.
                    kind="problem" if folder.purpose == "Temporary files" else "note",
                    text=f"{folder.purpose}: no file can be written in {folder.path}.",
                    remedy="Correct its permissions, or choose another folder (TMPDIR for temporary files, "
                    "HF_HOME for the cache).",
                )
            )
        elif folder.free_gb < _LITTLE_GB:
            findings.append(
                Finding(
                    kind="note",
                    text=f"{folder.purpose}: the disk of {folder.path} has {folder.free_gb:.1f} GB left.",
                    remedy="Free some space before a training.",
                )
            )
    return findings


def _state(purpose: str, path: Path) -> FolderState:
    """Return the state of a folder; for one that does not exist, that of the folder it will be made in."""
    there = next(folder for folder in (path, *path.parents) if folder.is_dir())
    return FolderState(
        purpose=purpose,
        path=str(path),
        exists=path.is_dir(),
        writable=os.access(there, os.W_OK | os.X_OK),
        free_gb=round(shutil.disk_usage(there).free / 1e9, 1),
    )


def _hugging_face_cache() -> Path:
    """Return where the packages of Hugging Face keep what they download, as these packages define it."""
    home = os.environ.get("HF_HOME", "")
    cache = os.environ.get("XDG_CACHE_HOME", "") or str(Path.home() / ".cache")
    return Path(
        os.environ.get("HF_HUB_CACHE", "") or Path(home or f"{cache}/huggingface", "hub")
    ).expanduser()
