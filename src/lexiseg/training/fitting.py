"""The Lightning loop, for networks and for their teachers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch.loggers import TensorBoardLogger
from torch.utils.data import DataLoader

from lexiseg.systems.configuration import TrainConfig
from lexiseg.training.callbacks import Checkpoint, quiet_lightning
from lexiseg.training.loading import worker_errors
from lexiseg.training.module import SegmentationModule


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
        logs: Folder of the TensorBoard logs; None: none are written.

    Raises:
        KeyboardInterrupt: The process was interrupted.
    """
    quiet_lightning()
    trainer = lightning.Trainer(
        accelerator=config.accelerator,
        devices=1,
        precision="bf16-mixed" if config.precision == "bf16" else "32-true",
        max_epochs=-1,
        max_steps=-1,
        num_sanity_val_steps=0,
        limit_val_batches=None if validation is not None else 0,
        callbacks=[*callbacks, checkpoint],
        logger=False if logs is None else TensorBoardLogger(str(logs), name=None, version="tensorboard"),
        log_every_n_steps=10,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )
    path = checkpoint.file if goes_on else None
    module.progress.start()
    try:
        with worker_errors():
            trainer.fit(module, training, validation, ckpt_path=path, weights_only=True)
    except SystemExit as error:  # Lightning's answer to Ctrl-C
        raise KeyboardInterrupt from error
    if trainer.interrupted:
        raise KeyboardInterrupt
