"""The memory that a training needs, and the memory that is free."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from lexiseg.models.text_supervisor import HasTrainingPass

_CGROUP = Path("/sys/fs/cgroup")
#: Files of a control group's limit and use, and the lines of its `memory.stat` with the file cache: of files
#: that were read once, and more often.
_VERSION_2 = ("memory.max", "memory.current", ("inactive_file", "active_file"))
_VERSION_1 = (
    "memory.limit_in_bytes", "memory.usage_in_bytes", ("total_inactive_file", "total_active_file"),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class MemoryEstimate:
    """Memory in bytes, of all processes of the machine together.

    Attributes:
        model: Weights, gradients, optimiser state and averaged weights.
        activations: What a batch keeps for the backward pass.
        data: Decoded images held in memory.
        available: What the machine has free.
        processes: Number of processes.
    """

    model: int
    activations: int
    data: int
    available: int
    processes: int = 1

    @property
    def total(self) -> int:
        """All of it."""
        return self.model + self.activations + self.data

    def sentence(self) -> str:
        """Return the estimate for people."""
        gib = 2**30
        of = f" of {self.processes} processes" if self.processes > 1 else ""
        return (
            f"Memory{of}: about {self.total / gib:.1f} GiB (activations {self.activations / gib:.1f}, images "
            f"{self.data / gib:.1f}, model {self.model / gib:.1f}) of {self.available / gib:.1f} GiB free."
        )


def available_memory() -> int:
    """Return the bytes of memory that are free for use, a container's limit included."""
    # macOS tells the whole memory only, not what is free of it.
    pages = "SC_AVPHYS_PAGES" if "SC_AVPHYS_PAGES" in os.sysconf_names else "SC_PHYS_PAGES"
    free = os.sysconf(pages) * os.sysconf("SC_PAGE_SIZE")
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            lines = dict(line.split(":", 1) for line in file)
        free = int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        pass  # not Linux: the first figure stands
    in_container = container_memory()
    return free if in_container is None else min(free, in_container)


def container_memory(root: Path = _CGROUP) -> int | None:
    """Return the bytes that the container of this process has free; None where it has no limit.

    Args:
        root: Where the system shows its control groups.
    """
    for folder, names in ((root, _VERSION_2), (root / "memory", _VERSION_1)):
        limit, used, cache = names
        try:
            total, taken = (int((folder / name).read_text("ascii")) for name in (limit, used))
            lines = (folder / "memory.stat").read_text("ascii").splitlines()
            # Images that were read stay in the file cache, and the system gives it up where memory is needed.
            bytes_of = dict(line.split(maxsplit=1) for line in lines)
            reclaimable = sum(int(bytes_of[name]) for name in cache)
        except (OSError, KeyError, ValueError):
            continue  # not this version, or no limit ("max")
        return max(0, total - max(0, taken - reclaimable))
    return None


def activation_bytes(network: nn.Module, image_size: int) -> int:
    """Return the bytes one image's training pass keeps for the backward pass, by counting them."""
    # The storages live until all are counted, so that none takes the place of another one.
    kept: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: Tensor) -> None:
        # Nothing of the tensor goes back to torch: an output that its own function held would never be freed.
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage()

    def never(nothing: None) -> Tensor:
        raise AssertionError("there is no backward pass")

    parameters = {p.untyped_storage().data_ptr() for p in network.parameters()}
    was_training = network.training
    network.train()
    buffers = {name: buffer.clone() for name, buffer in network.named_buffers()}
    with torch.autograd.graph.saved_tensors_hooks(keep, never):
        image = torch.zeros(2, 3, image_size, image_size)  # two: batch norm needs more than one value
        network.training_pass(image) if isinstance(network, HasTrainingPass) else network(image)
    with torch.no_grad():
        for name, buffer in network.named_buffers():
            buffer.copy_(buffers[name])  # the zeros must not move the running statistics
    network.train(was_training)
    return sum(storage.nbytes() for pointer, storage in kept.items() if pointer not in parameters) // 2
