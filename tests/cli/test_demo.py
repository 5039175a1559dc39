"""`tickwire demo` on its real socket: counts, latencies, the table in a terminal, and every way to end."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator

import psutil
import pytest

import tickwire.cli
import tickwire.cli.demo as demo_command
from hubs import PATIENCE_S
from tickwire.cli.hubprocess import HubProcess

_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def start(command: list[str], *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*command, "demo", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.fixture
def here() -> Iterator[Callable[..., int]]:
    """Runs a demo in this process; returns its exit status."""
    interval_s = sys.getswitchinterval()
    yield lambda *arguments: tickwire.cli.main(["demo", *arguments])
    sys.setswitchinterval(interval_s)


def hub_of(demo: subprocess.Popen[str]) -> psutil.Process:
    (child,) = psutil.Process(demo.pid).children()
    return child


def test_json(run_json) -> None:
    result = run_json("demo", "--seconds", 2, "--rate", 4_000, "--instruments", 3, "--timeframes", "1s,1m")
    # The market holds exactly its rate in every second.
    assert result["sent"] == result["received"] == 8_000
    assert result["accepted"] + result["rejected"] == result["received"]
    assert result["rejected"] == sum(result["rejections"].values())
    # The first second, closed by ticks of the second, for each instrument.
    assert result["bars_closed"] >= 3
    assert len(result["instruments"]) == 3
    assert result["timeframes"] == ["1s", "1m"]
    health = result["health"]
    assert health["state"] in ("healthy", "degraded", "unhealthy")
    assert health["score"] == pytest.approx(100 - sum(deduction for _, deduction, _ in health["reasons"]))
    for path in ("engine", "strategy"):
        quantiles = result["latency_us"][path]
        assert 0 < quantiles["p50"] <= quantiles["p99"]
    delivery = result["to_strategy"]
    assert delivery["published"] == result["accepted"]
    assert delivery["published"] == delivery["delivered"] + delivery["shed"]
    assert delivery["pending"] == 0


def test_without_a_terminal_it_prints_plain_lines(run) -> None:
    done = run("demo", "--seconds", 2, "--rate", 1_000)
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout
    lines = done.stdout.splitlines()
    assert any("ticks/s" in line and "p50/p99" in line for line in lines)
    assert "sent 2,000, received 2,000: every tick arrived" in lines


def test_table_in_a_terminal(command) -> None:
    text = in_terminal([*command, "demo", "--seconds", "2", "--rate", "2000"], columns=80, lines=24)
    # The live table has a screen of its own, and gives the user's back.
    _, _, live = text.partition("\x1b[?1049h")
    live, _, after = live.partition("\x1b[?1049l")
    assert "live" in live
    assert "EP.Z26" in live
    assert "open bar" in live
    assert "closed" in live
    rows = [_ESCAPE.sub("", row).rstrip("\r") for row in after.split("\n")]
    assert "sent 4,000, received 4,000: every tick arrived" in rows
    # Four instruments, three timeframes, each with the prices of its open bar.
    bars = [row for row in rows if re.search(r"\b(1s|5s|1m)\b +[\d.]+ +[\d.]+ +[\d.]+ +[\d.]+ ", row)]
    assert len(bars) >= 8
    assert max(len(row) for row in rows[: rows.index(bars[-1])]) <= 80


def test_table_fits_a_small_terminal(command) -> None:
    text = in_terminal([*command, "demo", "--seconds", "1", "--rate", "500"], columns=50, lines=12)
    live = text.partition("\x1b[?1049h")[2].partition("\x1b[?1049l")[0]
    assert "a taller window shows" in live


def test_a_dumb_terminal_gets_lines(command) -> None:
    text = in_terminal(
        [*command, "demo", "--seconds", "1", "--rate", "500"], columns=80, lines=24, term="dumb"
    )
    assert "\x1b[?1049h" not in text
    assert "every tick arrived" in text


def in_terminal(arguments: list[str], *, columns: int, lines: int, term: str = "xterm-256color") -> str:
    """All that a command writes to a terminal of this size."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    hidden = {"COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"}
    environment = {name: value for name, value in os.environ.items() if name not in hidden} | {"TERM": term}
    process = subprocess.Popen(arguments, stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    written = bytearray()
    deadline_s = time.monotonic() + 3 * PATIENCE_S
    try:
        while time.monotonic() < deadline_s:
            if not select.select([ours], [], [], 0.1)[0]:
                continue
            try:
                piece = os.read(ours, 65_536)
            except OSError:  # Linux: the other end is closed
                break
            if not piece:
                break
            written += piece
        assert process.wait(PATIENCE_S) == 0, written.decode()
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    return written.decode()


# Ends


def test_ctrl_c_ends_it_with_the_summary(command) -> None:
    with start(command, "--seconds", "0", "--rate", "2000") as demo:
        assert demo.stdout is not None
        assert "live" in demo.stdout.readline()
        hub = hub_of(demo)
        demo.send_signal(signal.SIGINT)
        out, err = demo.communicate(timeout=3 * PATIENCE_S)
    assert demo.returncode == 0, err
    assert err == ""
    found = re.search(r"sent ([\d,]+), received ([\d,]+): every tick arrived", out)
    assert found
    assert found[1] == found[2] != "0"
    assert not hub.is_running()


def test_ctrl_c_with_json_prints_the_object(here, monkeypatch, capsys) -> None:
    """In this process, where the interrupt can come at a known moment instead of while it starts."""
    looks = []

    def interrupted(self: demo_command._Watch) -> None:
        looks.append(self)
        if len(looks) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(demo_command._Watch, "view", interrupted)
    monkeypatch.setattr(demo_command, "_LINE_S", 0.1)
    assert here("--seconds", "0", "--rate", "2000", "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert result["sent"] == result["received"] > 0


def test_a_hub_that_dies_is_an_error(command) -> None:
    with start(command, "--seconds", "0", "--rate", "1000") as demo:
        assert demo.stdout is not None
        assert "live" in demo.stdout.readline()
        hub_of(demo).kill()
        _, err = demo.communicate(timeout=3 * PATIENCE_S)
    assert demo.returncode == 2
    assert err == "tickwire: the hub's process ended unexpectedly\n"


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_the_hub_does_not_outlive_a_demo_that_was_killed(command) -> None:
    with start(command, "--seconds", "0", "--rate", "1000") as demo:
        assert demo.stdout is not None
        assert "live" in demo.stdout.readline()
        hub = hub_of(demo)
        demo.kill()
        demo.communicate()
    hub.wait(3 * PATIENCE_S)
    assert not hub.is_running()


def test_a_lost_tick_is_an_exit_status(here, monkeypatch, capsys) -> None:
    stop = HubProcess.stop

    def stop_with_one_more(self: HubProcess) -> dict[str, object]:
        totals = stop(self)
        return totals | {"sent": totals["sent"] + 1}

    monkeypatch.setattr(HubProcess, "stop", stop_with_one_more)
    monkeypatch.setattr("tickwire.cli.demo._ARRIVAL_S", 0.0)
    assert here("--seconds", "1", "--rate", "500") == 1
    assert "sent 501, received 500: 1 are missing" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["--instruments", "FOO"],
            "--instruments: got 'FOO', expected how many, or ids of these: CON.F.US.EP.Z26",
        ),
        (["--instruments", "0"], "--instruments: got 0, expected 1 to 100"),
        (
            ["--instruments", "CON.F.US.EP.Z26,"],
            "--instruments: got 'CON.F.US.EP.Z26,', expected names with commas",
        ),
        (["--timeframes", "1x"], 'got timeframe "1x", expected'),
    ],
)
def test_wrong_options(here, arguments: list[str], sentence: str, capsys) -> None:
    assert here(*arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert sentence in printed.err
    assert len(printed.err.splitlines()) == 1
