"""The `tickwire` command: `demo`, `replay`, `bench`, `doctor` and `contracts`.

It needs the `[cli]` extra (typer and rich), which is imported when a command runs; without it the
command says what to install. Exit status: 0, or 1 if a demo lost ticks or the doctor found
something wrong, or 2 for what cannot work, with one sentence on stderr. With `--json` the last line on stdout is one JSON object.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from tickwire.errors import TickwireError

__all__ = ["main"]

_EXTRA = ("typer", "rich")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    try:
        for name in _EXTRA:
            importlib.import_module(name)
    except ModuleNotFoundError as error:
        print(
            f"tickwire: the command line needs {' and '.join(_EXTRA)}, and {error.name} is not installed; "
            'run: python -m pip install "tickwire[cli]"',
            file=sys.stderr,
        )
        return 2
    from .app import run

    try:
        return run(sys.argv[1:] if arguments is None else list(arguments))
    except (TickwireError, OSError) as error:
        print(f"tickwire: {error}", file=sys.stderr)
        return 2
