"""The command `lexiseg join`."""

from __future__ import annotations

from typing import Annotated

import typer

from lexiseg.cli.options.common import Shared
from lexiseg.cli.terminal.messages import say
from lexiseg.cli.terminal.output_mode import show_result
from lexiseg.printable import counted


def join(
    out: Annotated[str, typer.Argument(metavar="OUT", help="The --out folder of `lexiseg predict --shard`.")],
    shared: Shared = False,
) -> None:
    """Join the results of all shards of a large job to one predictions.jsonl."""
    from lexiseg import join_shards

    joined = join_shards(out)
    show_result(
        {
            "shards": joined.shards,
            "images": joined.images,
            "failed": joined.failed,
            "results": joined.results,
        }
    )
    failed = f", of which {joined.failed} could not be read" if joined.failed else ""
    say(
        f"{counted(joined.shards, 'shard')} joined: {counted(joined.images, 'image')}{failed}. Results: "
        f"{joined.results}"
    )
