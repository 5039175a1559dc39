"""The tables of results in the documentation: made from cases and measured runs, and read back."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from faults.accounts import Seen
from faults.case import Case, Phase, Run
from faults.cases import CASES
from faults.swaps import SWAPS, Swap, SwapSeen
from tickwire.config import ProtocolName

__all__ = [
    "PAGE",
    "WRITE",
    "Results",
    "expectations",
    "expected",
    "page",
    "swap_expectations",
    "swap_expected",
]

PAGE = Path(__file__).parents[2] / "docs" / "faults.md"
WRITE = os.environ.get("TICKWIRE_WRITE_FAULTS", "") not in ("", "0")
"""Whether the page is made from this run."""

_INTRODUCTION = """\
# Faults

What a client does about each fault of a hub, a link, a login or a consumer, and how long it takes. Made by
`TICKWIRE_WRITE_FAULTS=1 pytest tests/faults`, which runs every row against the embedded hub on real
sockets, in JSON in these phases, and while streaming in MessagePack, too:

- *before subscribe*: on the first attempt, in the place of an answer or behind the answer to the
  handshake.
- *while streaming*: on a living connection. What strikes attempts to connect does so when a FIN has ended
  it, so that the time has that reconnect in it.
- *during refresh*: the same while the login server does not answer the renewal of the token. It answers
  with a new token (first time) or with an error (second time) when the client has recovered, and neither
  touches the connection.

After each run these hold, or the test fails:

- For every connection the engine has counted as many ticks as the hub has sent; where *may be lost* says
  so, on the connection that was struck it may be fewer, never more.
- Every tick was accepted, or rejected for a reason; the bars are those of the accepted trades; no bar that
  a gap has cut looks complete, and there is one gap for each time the data was interrupted, from the last
  byte heard.
- `Disconnected` and `Reconnecting` name the rows of the policy of [connection.md](connection.md) in this
  order, and no others.
- The client is live on one connection with all its streams, or has ended with the error for everyone who
  waits.
- The login was asked as often as the faults demand, once for both hubs that share it. A renewal that
  hangs delays nothing; one of a token that has become worthless is given up for the login that follows.
- No thread, task, socket or file descriptor is left.

Times are in milliseconds, from the last byte heard (before subscribe: from the start of the client) until
all streams flow again, or until the client has ended. In the tests the back-off is 5 to 20 ms, what does not
answer is given 150 ms, and silence 600 ms. A dash: nothing was interrupted; n/a: this protocol has no such
thing.
"""

_HEAD = """\
| fault | policy | client | may be lost | before subscribe | while streaming | during refresh | MessagePack |
|---|---|---|---|---|---|---|---|
"""

_SWAPS = """\
## While the socket is changed

The hub ends connections whose token expires, and the client knows it (`swap="expiry"`) or has seen it
(`swap="learn"`). When the token has been renewed, it opens a second connection beside the first. Another client
is a witness that stays on one connection, so that after each run these hold, or the test fails:

- Every tick of the engine is one of the witness's, and as often; what is missing lies within a gap that was
  told. Without a gap the engine has received exactly what the hub has counted on the witness's connection.
- The engine's ticks and duplicates together are no more than the hub has sent on the client's connections.
- A new connection that fails is told as `SwapFailed`, touches nothing and is tried again; `Disconnected` comes
  where the policy says so, and nowhere else.
- In the end one connection is open, with the renewed token and all streams; nothing else is left.

Times are in milliseconds, from the renewal until the data flows on a socket with the new token, tries that
failed included; a dash: not run. In the tests it is looked at every 50 ms whether the socket has to be
changed, and links that do not meet are given 300 ms.

| fault | policy | client | gap | JSON | MessagePack |
|---|---|---|---|---|---|
"""

_EXPECTED, _MEASURED = r"\| ([^|]+) ", r"\| [^|]+ "
_ROW = re.compile("^" + 4 * _EXPECTED + 4 * _MEASURED + r"\|$", re.MULTILINE)
_SWAP_ROW = re.compile("^" + 4 * _EXPECTED + 2 * _MEASURED + r"\|$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Results:
    """What came of all runs."""

    faults: dict[Run, Seen]
    swaps: dict[tuple[str, ProtocolName], SwapSeen]


def expected(case: Case) -> tuple[str, str, str, str]:
    """The columns of a case that do not depend on a measurement."""
    policy = _names(case.rows)
    if case.instead is not None:
        policy += f" or `{case.instead}`"
    if case.first_rows is not None:
        policy += f"; before subscribe {_names(case.first_rows)}"
    first, later = case.outcome(Phase.BEFORE), case.outcome(Phase.STREAMING)
    if not case.rows:
        client = "lives on"
    else:
        client = later if first == later else f"{later}; before subscribe {first}"
    return case.name, policy, client, "what was under way" if case.loses else "nothing"


def swap_expected(case: Swap) -> tuple[str, str, str, str]:
    """The same of a change of sockets."""
    client = "tries again, changes" if case.fails else case.outcome.removesuffix(", with a gap")
    return case.name, _names(case.rows), client, "-" if case.gap is None else case.gap


def expectations(text: str) -> list[tuple[str, ...]]:
    """The same columns, of all rows of the page."""
    return _rows(_ROW, text)


def swap_expectations(text: str) -> list[tuple[str, ...]]:
    """The same, of the table about changes of sockets."""
    return _rows(_SWAP_ROW, text)


def _rows(pattern: re.Pattern[str], text: str) -> list[tuple[str, ...]]:
    return [match.groups() for match in pattern.finditer(text) if match[1] != "fault"]


def page(results: Results) -> str:
    """The page, from a run of everything."""
    faults = [_line(*expected(case), *_times(case, results)) for case in CASES]
    swaps = [_line(*swap_expected(case), *_swap_times(case, results)) for case in SWAPS]
    return f"{_INTRODUCTION}\n{_totals(results)}\n{_HEAD}{''.join(faults)}\n{_SWAPS}{''.join(swaps)}"


def _line(*columns: str) -> str:
    return f"| {' | '.join(columns)} |\n"


def _names(rows: tuple[str, ...]) -> str:
    if not rows:
        return "-"
    if len(rows) > 1 and len(set(rows)) == 1:
        return f"`{rows[0]}` {len(rows)} times"
    return ", ".join(f"`{row}`" for row in rows)


def _times(case: Case, results: Results) -> list[str]:
    def ms(phase: Phase, protocol: ProtocolName = "json") -> str:
        return _ms(results.faults.get(Run(case.name, phase, protocol)))

    renewed, unrenewed = ms(Phase.RENEWED), ms(Phase.UNRENEWED)
    return [
        ms(Phase.BEFORE),
        ms(Phase.STREAMING),
        renewed if renewed == unrenewed in ("-", "n/a") else f"{renewed} / {unrenewed}",
        ms(Phase.STREAMING, "messagepack"),
    ]


def _ms(seen: Seen | None) -> str:
    if seen is None:
        return "n/a"
    return "-" if seen.recovery_s is None else f"{seen.recovery_s * 1e3:.0f}"


def _swap_times(case: Swap, results: Results) -> list[str]:
    found = (results.swaps.get((case.name, protocol)) for protocol in ("json", "messagepack"))
    return ["-" if seen is None else f"{seen.took_s * 1e3:.0f}" for seen in found]


def _totals(results: Results) -> str:
    runs = results.faults.values()
    connections = sum(len(seen.connections) for seen in runs)
    sent = sum(info.sent.ticks for seen in runs for info in seen.connections.values())
    lost = sent - sum(sum(seen.ticks.values()) for seen in runs)
    return (
        f"The run below: {len(runs)} cases and phases, {connections} connections, {sent:,} ticks sent, "
        f"{lost:,} of them lost on links that ended before they were read; and {len(results.swaps)} changes of "
        "sockets.\n"
    )
