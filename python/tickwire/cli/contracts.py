"""`tickwire contracts`: the contracts that a gateway knows, by text."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated

import typer

from .account import KEY_ENV, USER_ENV, gateway_of
from .output import print_json, results_console

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tickwire.projectx import Contract

__all__ = ["contracts"]


def contracts(
    text: Annotated[str, typer.Argument(help='Part of the name or description, e.g. "ES".')],
    api: Annotated[
        str | None, typer.Option(help="URL of the gateway's REST interface; TopstepX unless given.")
    ] = None,
    user_env: Annotated[
        str, typer.Option(help="Environment variable that holds the user's name.")
    ] = USER_ENV,
    key_env: Annotated[str, typer.Option(help="Environment variable that holds the API key.")] = KEY_ENV,
    live: Annotated[bool, typer.Option("--live", help="Ask with the live data subscription.")] = False,
    proxy: Annotated[str | None, typer.Option(help='URL of an HTTP proxy, or "env".')] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object instead of a table.")
    ] = False,
) -> None:
    """List the contracts whose name or description matches a text.

    It logs in with the user and the API key that two environment variables hold, which can end this
    user's sessions elsewhere. The ids are what `Instrument` takes.
    """
    found = gateway_of(api, user_env, key_env, proxy).contracts(text, live=live)
    if as_json:
        print_json({"contracts": [dataclasses.asdict(one) for one in found]})
    else:
        _print_table(text, found)


def _print_table(text: str, found: Sequence[Contract]) -> None:
    from rich import box
    from rich.table import Table

    console = results_console()
    if not found:
        console.print(f"no contract matches {text!r}")
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for name in ("id", "name"):
        table.add_column(name, no_wrap=True)
    for name in ("tick size", "tick value"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("active", no_wrap=True)
    table.add_column("description")
    for one in found:
        active = "yes" if one.active else "no"
        table.add_row(
            one.id, one.name, _plain(one.tick_size), _plain(one.tick_value), active, one.description
        )
    console.print(table)


def _plain(number: float) -> str:
    """All decimals and no exponent: tick sizes go down to 0.00005."""
    import numpy as np

    return np.format_float_positional(number, trim="-")
