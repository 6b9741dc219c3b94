"""The Lightning loop, for networks and for labellers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning
from lightning.fabric.plugins import ClusterEnvironment
from lightning.pytorch.loggers import Logger
from lightning.pytorch.strategies import DDPStrategy
from torch.utils.data import DataLoader

from lexiseg.systems.configuration import TrainConfig
from lexiseg.training.distributed.ranks import ALONE, Ranks
from lexiseg.training.inputs.data_loaders import worker_errors
from lexiseg.training.steps.callbacks import Checkpoint, quiet_lightning
from lexiseg.training.steps.curve_loggers import curve_logger
from lexiseg.training.steps.segmentation_module import SegmentationModule


def fit(
    module: SegmentationModule,
    config: TrainConfig,
    training: DataLoader[Any],
    validation: DataLoader[Any] | None,
    callbacks: Sequence[lightning.Callback],
    checkpoint: Checkpoint,
    *,
    goes_on: bool,
    logs: Path | None = None,
    ranks: Ranks = ALONE,
) -> None:
    """Train to the end, or stop where the process is interrupted.

    Args:
        module: What is trained.
        config: The configuration, resolved.
        training: Batches of one segment after another.
        validation: Batches that are scored after each segment; None: none are.
        callbacks: What else happens; the checkpoint comes last.
        checkpoint: Saves the state after each segment.
        goes_on: Whether the training goes on from the checkpoint.
        logs: The run folder, for the logger of the configuration; None: no curves are logged.
        ranks: The place of this process among those of the training.

    Raises:
        KeyboardInterrupt: The process was interrupted.
        UsageError: The package of the logger is missing.
        ResourceError: The logger fails.
    """
    quiet_lightning()
    with curve_logger(config.logger, logs) as logger:
        trainer = _trainer(config, ranks, [*callbacks, checkpoint], logger, validates=validation is not None)
        path = checkpoint.file if goes_on else None
        module.progress.start()
        try:
            with worker_errors():
                trainer.fit(module, training, validation, ckpt_path=path, weights_only=True)
        except SystemExit as error:  # Lightning's answer to Ctrl-C
            raise KeyboardInterrupt from error
        if trainer.interrupted:
            raise KeyboardInterrupt


def _trainer(
    config: TrainConfig,
    ranks: Ranks,
    callbacks: list[lightning.Callback],
    logger: Logger | bool,
    *,
    validates: bool,
) -> lightning.Trainer:
    """Return what runs the steps. Length, checkpoints, samplers and displays are those of Lexiseg."""
    return lightning.Trainer(
        accelerator=config.accelerator,
        devices=ranks.local_size,
        num_nodes=ranks.size // ranks.local_size,
        strategy=_strategy(ranks) if ranks.several else "auto",
        accumulate_grad_batches=config.accumulate,
        precision="bf16-mixed" if config.precision == "bf16" else "32-true",
        max_epochs=-1,
        max_steps=-1,
        num_sanity_val_steps=0,
        limit_val_batches=None if validates else 0,
        callbacks=callbacks,
        logger=logger,
        log_every_n_steps=10,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )


def _strategy(ranks: Ranks) -> DDPStrategy:
    """Return the strategy of several processes, which are started already."""
    return DDPStrategy(
        cluster_environment=_StartedRanks(ranks),
        # Parts of the network stop learning during a training, and the averaged weights never learn.
        find_unused_parameters=True,
        # All processes have the same ones: batch norms see the whole batch.
        broadcast_buffers=False,
        gradient_as_bucket_view=True,
    )


class _StartedRanks(ClusterEnvironment):
    """Tells Lightning the place of this process."""

    def __init__(self, ranks: Ranks) -> None:
        super().__init__()
        self._ranks = ranks

    @property
    def creates_processes_externally(self) -> bool:
        return True

    # Lightning joins the processes by these, unless they are joined already, as they are here.
    @property
    def main_address(self) -> str:
        return "127.0.0.1"

    @property
    def main_port(self) -> int:
        return 0

    @staticmethod
    def detect() -> bool:
        return False

    def world_size(self) -> int:
        return self._ranks.size

    def set_world_size(self, size: int) -> None:
        pass

    def global_rank(self) -> int:
        return self._ranks.rank

    def set_global_rank(self, rank: int) -> None:
        pass

    def local_rank(self) -> int:
        return self._ranks.local_rank

    def node_rank(self) -> int:
        return self._ranks.rank // self._ranks.local_size
