"""The commands `lexiseg token ...`: who may use a server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lexiseg.cli.options.common import named_values
from lexiseg.cli.options.examples import examples_text
from lexiseg.cli.options.flag_help import GroupWithFlags
from lexiseg.cli.options.registration import register
from lexiseg.cli.terminal.messages import say
from lexiseg.cli.terminal.output_mode import output_mode, show_result
from lexiseg.printable import command_word
from lexiseg.serving.records.common import Scope

app = typer.Typer(
    cls=GroupWithFlags,
    help="Make, list and revoke the tokens of a server.",
    epilog=examples_text("token"),
    no_args_is_help=True,
)


if TYPE_CHECKING:
    Scopes = list[Scope]
else:
    Scopes = list[str]

_File = Annotated[Path, typer.Option("--file", help="The token file; it holds hashes, no tokens.")]
_Name = Annotated[str, typer.Argument(metavar="NAME", help="Who uses the token, as in the log.")]
_TOKENS = Path("tokens.json")


def new(
    name: _Name,
    scope: Annotated[
        Scopes,
        named_values(
            Scope,
            help="What the token may do: predict (and refine), jobs, metrics. Repeat the option for several.",
        ),
    ] = ["predict"],  # noqa: B006
    days: Annotated[
        float | None, typer.Option(min=0, help=r"Days after which it ends. \[default: never]")
    ] = None,
    file: _File = _TOKENS,
) -> None:
    """Make a token and print it once; a running server reads the file again by itself."""
    from lexiseg.serving.tokens import new_token

    token = new_token(file, name, tuple(dict.fromkeys(scope)), days=days)
    show_result({"name": name, "token": token})
    if not output_mode().json:
        # With --quiet too: nobody can read the token later.
        typer.echo(token)


def list_tokens(file: _File = _TOKENS) -> None:
    """List the tokens of a file: names, scopes and ends."""
    from lexiseg.serving.tokens import existing_token_file

    tokens = existing_token_file(file).tokens
    show_result([{"name": token.name, "scopes": token.scopes, "expires": token.expires} for token in tokens])
    for token in tokens:
        ends = "does not end" if token.expires is None else f"ends {token.expires:%Y-%m-%d %H:%M} UTC"
        say(f"{token.name}: {', '.join(token.scopes)}; {ends}")
    if not tokens:
        say(f"{file} holds no tokens. Make one with `lexiseg token new NAME --file {command_word(file)}`.")


def revoke(name: _Name, file: _File = _TOKENS) -> None:
    """Remove a token; a running server refuses it from then on."""
    from lexiseg.serving.tokens import revoke_token

    revoke_token(file, name)
    say(f"Revoked: {name}.")


register(app, "token new", new)
register(app, "token list", list_tokens)
register(app, "token revoke", revoke)
