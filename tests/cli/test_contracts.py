"""`tickwire contracts` against the embedded hub's REST side."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest

import tickwire.cli
from tickwire import sim

KEY = "canary-key-81bd"


@pytest.fixture
def hub() -> Iterator[sim.Hub]:
    """A gateway's REST side, with the user in the usual variables."""
    with sim.Hub(rest=sim.Rest(users={"me": KEY})) as hub:
        yield hub


@pytest.fixture
def contracts(hub: sim.Hub, monkeypatch, capsys) -> Callable[..., tuple[int, str, str]]:
    """Runs the command in this process: exit status, what it printed, what it complained of."""
    monkeypatch.setenv("TOPSTEP_USER", "me")
    monkeypatch.setenv("TOPSTEP_KEY", KEY)
    api = hub.url.removesuffix("/hubs/market")

    def run(*arguments: str) -> tuple[int, str, str]:
        status = tickwire.cli.main(["contracts", "--api", api, *arguments])
        printed = capsys.readouterr()
        assert KEY not in printed.out + printed.err
        return status, printed.out, printed.err

    return run


def test_json(contracts) -> None:
    status, out, _ = contracts("ES", "--json")
    assert status == 0
    (line,) = out.splitlines()
    (found,) = [one for one in json.loads(line)["contracts"] if one["name"] == "ESZ6"]
    assert found == {
        "id": "CON.F.US.EP.Z26",
        "name": "ESZ6",
        "description": "E-mini S&P 500: Z26",
        "tick_size": 0.25,
        "tick_value": 12.5,
        "active": True,
        "symbol_id": "F.US.EP",
    }


def test_table(contracts) -> None:
    status, out, _ = contracts("euro")
    assert status == 0
    head, *rows = [line.split() for line in out.splitlines() if not line.startswith("─")]
    assert head == ["id", "name", "tick", "size", "tick", "value", "active", "description"]
    assert rows == [["CON.F.US.EU6.Z26", "6EZ6", "0.00005", "6.25", "yes", "Euro", "FX:", "Z26"]]


def test_nothing_is_found(contracts) -> None:
    assert contracts("no such thing") == (0, "no contract matches 'no such thing'\n", "")


def test_a_login_that_is_refused(contracts, monkeypatch) -> None:
    monkeypatch.setenv("OTHER", "not-the-key")
    status, out, err = contracts("ES", "--key-env", "OTHER")
    assert (status, out) == (2, "")
    assert err == (
        "tickwire: the gateway refused the login with code 3: user or key are wrong; check both, and that the key has "
        "not been replaced\n"
    )


def test_a_variable_that_is_not_set(contracts, monkeypatch) -> None:
    monkeypatch.delenv("TOPSTEP_KEY")
    status, _, err = contracts("ES")
    assert status == 2
    assert "--key-env: the environment variable TOPSTEP_KEY is not set" in err
