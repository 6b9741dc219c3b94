"""The command `lexiseg audit`."""

from __future__ import annotations

from lexiseg.cli.commands.audit_options import (
    Arms,
    ArmsFile,
    Config,
    Epochs,
    ImageSize,
    Limit,
    Masks,
    MaxMinutes,
    Models,
    Out,
    Seeds,
    Split,
    StaleMinutes,
    Steps,
)
from lexiseg.cli.options.common import AllowLeak, DataFolder, Shared
from lexiseg.cli.terminal.messages import progress_console, say
from lexiseg.cli.terminal.output_mode import show_result


def audit(
    data: DataFolder,
    out: Out,
    models: Models = None,
    arms: Arms = None,
    arms_file: ArmsFile = None,
    seeds: Seeds = 3,
    epochs: Epochs = None,
    steps: Steps = None,
    max_minutes: MaxMinutes = None,
    image_size: ImageSize = None,
    masks: Masks = None,
    limit: Limit = None,
    split: Split = "test",
    config: Config = None,
    stale_minutes: StaleMinutes = 10.0,
    allow_leak: AllowLeak = False,
    shared: Shared = False,
) -> None:
    """Measure the effect of text: train models that differ only in their words, and compare them."""
    from lexiseg import audit as run_audit

    try:
        found = run_audit(
            data,
            out,
            models=None if models is None else _names(models),
            arms=None if arms is None else _names(arms),
            arms_file=arms_file,
            seeds=seeds,
            epochs=epochs,
            steps=steps,
            max_minutes=max_minutes,
            image_size=image_size,
            masks=masks,
            limit=limit,
            split=split,
            allow_leak=allow_leak,
            config_file=config,
            stale_minutes=stale_minutes,
            console=progress_console(),
        )
    except KeyboardInterrupt as interrupt:
        raise KeyboardInterrupt("Run the same command again to continue.") from interrupt
    show_result(found.result)
    for verdict in found.result.verdicts:
        say(f"{verdict.model}: {verdict.words}")
    for comparison in found.result.comparisons:
        if comparison.group == "all":
            say(f"  {comparison.model}: {comparison.words}")
    say(f"Report: {out / 'audit.html'}")


def _names(listed: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in listed.split(",") if name.strip())
