"""`tickwire bench` measures something, and says of what machine."""

from __future__ import annotations

import pytest

import tickwire.cli
from tickwire import _core


def test_json(run_json) -> None:
    result = run_json("bench", "--rounds", 1)
    assert set(result["results"]) == {"batch", "scalar", "json_1", "json_50", "export"}
    assert all(case["median_ns"] > 0 for case in result["results"].values())
    assert {case["per"] for case in result["results"].values()} == {"tick", "frame"}
    assert {"cpu", "python", "numpy", "polars", "tickwire"} <= set(result["machine"])
    assert len(result["timeframes"]) == 8


def test_table(run) -> None:
    done = run("bench", "--rounds", 1)
    assert done.returncode == 0, done.stderr
    assert "push_bytes, JSON, 50 per call" in done.stdout
    assert "medians of 1 rounds" in done.stdout


def test_a_debug_build_is_refused(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr(_core, "debug_build", True)
    assert tickwire.cli.main(["bench"]) == 2
    assert "this is a debug build" in capsys.readouterr().err
