"""The public surface: what `import tickwire` offers, and what it costs."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys

import tickwire as tw


def test_every_public_name_has_a_docstring() -> None:
    for name in tw.__all__:
        value = getattr(tw, name)
        if name.startswith("__") or inspect.ismodule(value):
            continue
        assert inspect.getdoc(value), name


def test_public_methods_have_docstrings() -> None:
    for owner in (tw.Engine, tw.Feed, tw.Overlap, tw.Snapshot, tw.Subscription, tw.Client):
        for name, member in inspect.getmembers(owner):
            if not name.startswith("_") and callable(member):
                assert inspect.getdoc(member), f"{owner.__name__}.{name}"


def test_errors_are_one_tree() -> None:
    raised = [
        value for value in vars(tw).values() if isinstance(value, type) and issubclass(value, Exception)
    ]
    errors = [value for value in raised if not issubclass(value, Warning)]
    assert len(errors) > 5
    assert all(issubclass(error, tw.TickwireError) for error in errors)
    assert issubclass(tw.ConfigError, ValueError)
    assert issubclass(tw.UnknownInstrument, KeyError)


def test_import_is_light() -> None:
    """Polars, httpx, signalrcore and the simulator wait until they are needed."""
    code = "import sys, json, tickwire; print(json.dumps(sorted(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    loaded = set(json.loads(out))
    assert not loaded & {
        "polars",
        "httpx",
        "signalrcore",
        "jwt",
        "websockets",
        "h11",
        "msgpack",
        "typer",
        "rich",
    }


def test_version_is_the_core_s() -> None:
    assert tw.__version__ == tw._core.__version__
