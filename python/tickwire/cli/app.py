"""The command tree. Each command lives in the file of its name and imports what is heavy when it runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from tickwire import __version__

from .bench import bench
from .contracts import contracts
from .demo import demo
from .doctor import doctor
from .replay import replay

__all__ = ["run"]

app = typer.Typer(
    help="Real-time market data for Python strategies: hubs in, validated ticks and correct bars out.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    # A traceback with the source of every frame buries the message that a user can report.
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(demo)
app.command()(replay)
app.command()(bench)
app.command()(doctor)
app.command()(contracts)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tickwire {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version and exit.", callback=_show_version, is_eager=True),
    ] = False,
) -> None:
    """The options of `tickwire` itself; `version` is dealt with by its callback."""


def run(arguments: Sequence[str]) -> int:
    """Run one command line; returns its exit status. `TickwireError` and `OSError` are left to the caller."""
    try:
        app(args=list(arguments), prog_name="tickwire")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0 if end.code is None else 2
    return 0
