"""The commands `lexiseg token ...`: who may use a server."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from lexiseg.cli.common_options import say

app = typer.Typer(help="Make, list and revoke the tokens of a server.", no_args_is_help=True)


class ScopeName(StrEnum):
    """What a token may do, as an option."""

    PREDICT = "predict"
    JOBS = "jobs"
    METRICS = "metrics"


_File = Annotated[Path, typer.Option("--file", help="The token file; it holds hashes, no tokens.")]
_Name = Annotated[str, typer.Argument(metavar="NAME", help="Who uses the token, as in the log.")]
_TOKENS = Path("tokens.json")


@app.command("new")
def new(
    name: _Name,
    scope: Annotated[
        list[ScopeName],
        typer.Option(help="What the token may do: predict (and refine), jobs, metrics. Repeat it."),
    ] = [ScopeName.PREDICT],  # noqa: B006
    days: Annotated[float | None, typer.Option(min=0, help="Days after which it ends.")] = None,
    file: _File = _TOKENS,
) -> None:
    """Make a token and print it once; a running server reads the file again by itself."""
    from lexiseg.serving.tokens import new_token

    token = new_token(file, name, tuple(found.value for found in dict.fromkeys(scope)), days=days)
    say(token)


@app.command("list")
def list_tokens(file: _File = _TOKENS) -> None:
    """List the tokens of a file: names, scopes and ends."""
    from lexiseg.serving.tokens import read_token_file

    for token in read_token_file(file).tokens:
        ends = "does not end" if token.expires is None else f"ends {token.expires:%Y-%m-%d %H:%M} UTC"
        say(f"{token.name}: {', '.join(token.scopes)}; {ends}")


@app.command("revoke")
def revoke(name: _Name, file: _File = _TOKENS) -> None:
    """Remove a token; a running server refuses it from then on."""
    from lexiseg.serving.tokens import revoke_token

    revoke_token(file, name)
    say(f"Revoked: {name}.")
