"""The hub as a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from websockets.sync.client import connect

from hubs import PATIENCE_S

COMMAND = [sys.executable, "-m", "tickwire.sim", "--json"]


@contextmanager
def running(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """The process, and what it says when it is ready."""
    with subprocess.Popen(
        [*COMMAND, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process, line(process)
        finally:
            process.kill()


def line(process: subprocess.Popen[str]) -> dict[str, Any]:
    text = process.stdout.readline()
    assert text, process.stderr.read()
    return json.loads(text)


def last_words(process: subprocess.Popen[str]) -> tuple[dict[str, Any], str, int]:
    """Its last line, its complaints, and how it ended."""
    out, complaints = process.communicate(timeout=60)
    return json.loads(out.splitlines()[-1]), complaints, process.returncode


def receive(ready: dict[str, Any], kinds: tuple[str, ...] = ("Quotes", "Trades"), records: int = 0) -> int:
    """Subscribe to everything and read so many records; returns the ticks in them."""
    headers = {"Authorization": f"Bearer {ready['token']}"}
    address = ready["url"].replace("http", "ws")
    ticks = 0
    with connect(address, additional_headers=headers, proxy=None, max_queue=None, max_size=None) as ws:
        ws.send('{"protocol":"json","version":1}\x1e')
        assert ws.recv(PATIENCE_S) == "{}\x1e"
        for contract in ready["symbols"]:
            for kind in kinds:
                call = {"type": 1, "target": f"SubscribeContract{kind}", "arguments": [contract]}
                ws.send(json.dumps(call) + "\x1e")
        while records > 0:
            for record in str(ws.recv(PATIENCE_S)).split("\x1e")[:-1]:
                data = json.loads(record)["arguments"][1]
                ticks += len(data) if isinstance(data, list) else 1
                records -= 1
    return ticks


def test_ready_finished_stopped():
    with running(
        "--rate",
        "max",
        "--count",
        "300",
        "--instruments",
        "2",
        "--start",
        "all",
        "--elements-per-record",
        "1",
    ) as (process, ready):
        assert ready["event"] == "ready"
        assert len(ready["symbols"]) == 2
        assert ready["pid"] == process.pid
        assert receive(ready, records=300) == 300
        finished = line(process)
        assert finished["event"] == "finished"
        assert finished["sent"] == finished["trades"] + finished["quotes"] == 300
        process.stdin.close()
        process.stdin = None
        stopped, complaints, status = last_words(process)
    assert stopped["event"] == "stopped"
    assert stopped["sent"] == 300
    assert stopped["connections"] == 1
    assert (complaints, status) == ("", 0)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_stop_it_in_good_order(number: signal.Signals):
    with running("--instruments", "CON.F.US.EP.Z26,CON.F.US.ENQ.Z26", "--mix", "trade=1") as (process, ready):
        assert ready["symbols"] == ["CON.F.US.EP.Z26", "CON.F.US.ENQ.Z26"]
        got = receive(ready, ("Trades",), records=50)
        os.kill(process.pid, number)
        stopped, complaints, status = last_words(process)
    assert stopped["sent"] >= got >= 50
    assert stopped["quotes"] == 0
    assert (complaints, status) == ("", 0)


def test_a_recording(tmp_path: Path):
    frame = pl.DataFrame(
        {"ts_ns": range(100), "instrument": ["X"] * 100, "price": [1.5] * 100, "size": [1] * 100}
    )
    frame.write_parquet(tmp_path / "ticks.parquet")
    with running("--replay", str(tmp_path / "ticks.parquet"), "--elements-per-record", "1") as (
        process,
        ready,
    ):
        assert ready["symbols"] == ["X"]
        assert receive(ready, ("Trades",), records=100) == 100
        assert line(process)["trades"] == 100


def test_a_manual_start_by_a_line_on_stdin():
    with running("--rate", "max", "--count", "40", "--start", "manual", "--mix", "quote=1") as (
        process,
        ready,
    ):
        headers = {"Authorization": f"Bearer {ready['token']}"}
        with connect(ready["url"].replace("http", "ws"), additional_headers=headers, proxy=None) as ws:
            call = {
                "type": 1,
                "invocationId": "1",
                "target": "SubscribeContractQuotes",
                "arguments": [ready["symbols"][0]],
            }
            ws.send('{"protocol":"json","version":1}\x1e' + json.dumps(call) + "\x1e")
            while '"invocationId":"1"' not in str(ws.recv(PATIENCE_S)):
                pass
            process.stdin.write("sta")
            process.stdin.flush()
            with pytest.raises(TimeoutError):
                ws.recv(0.1)
            process.stdin.write("rt\n")
            process.stdin.flush()
            assert "GatewayQuote" in str(ws.recv(PATIENCE_S))
            assert line(process)["event"] == "finished"


def test_dev_null_is_no_reason_to_stop():
    with subprocess.Popen(
        [*COMMAND, "--no-auth"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        receive(line(process), records=20)
        process.terminate()
        assert last_words(process)[0]["sent"] >= 20


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--replay", "/nowhere.parquet"], "no such file"),
        (["--instruments", "NOPE"], "'NOPE'"),
        (["--rate", "fast"], "invalid _rate value: 'fast'"),
        (["--digits", "12"], "digits=12"),
        (["--mix", "trade=x"], "mix"),
    ],
)
def test_wrong_arguments_end_with_status_2(arguments: list[str], complaint: str):
    done = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
