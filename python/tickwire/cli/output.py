"""What all commands share: option texts split at commas, the JSON line, consoles."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

import typer

from tickwire.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["errors_console", "names", "print_json", "results_console"]

_FILE_WIDTH = 160


def names(option: str, text: str) -> list[str]:
    """The parts of "a,b,c", each once, in order."""
    parts = list(dict.fromkeys(part.strip() for part in text.split(",")))
    if "" in parts:
        raise ConfigError(f"{option}: got {text!r}, expected names with commas between, e.g. 1s,1m")
    return parts


def print_json(result: Mapping[str, object]) -> None:
    """The one JSON object that ends a command's output."""
    # NaN is no JSON; a result that holds one should fail here and not in whoever reads it.
    typer.echo(json.dumps(result, allow_nan=False))


def errors_console() -> Console:
    """stderr, for what people want to see and programs do not."""
    from rich.console import Console

    return Console(stderr=True)


def results_console() -> Console:
    """stdout. What goes to a file or a pipe is not cut to the width of a terminal that is not there."""
    from rich.console import Console

    console = Console(highlight=False, markup=False)
    return console if console.is_terminal else Console(highlight=False, markup=False, width=_FILE_WIDTH)
