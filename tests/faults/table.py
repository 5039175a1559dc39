"""The table of results in the documentation: made from cases and measured runs, and read back."""

from __future__ import annotations

import re
from collections.abc import Mapping

from faults.accounts import Seen
from faults.case import Case, Phase
from faults.cases import CASES

__all__ = ["expectations", "expected", "page"]

_INTRODUCTION = """\
# Faults

What a client does about each fault of a hub, a link, a login or a consumer, and how long it takes. Made by
`TICKWIRE_WRITE_FAULTS=1 pytest tests/faults`, which runs every row against the embedded hub on real
sockets, in these phases:

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
  hangs delays nothing but a login that has to follow, and that no longer than `LoginLimits.fetch_s`.
- No thread, task, socket or file descriptor is left.

Times are in milliseconds, from the last byte heard (before subscribe: from the start of the client) until
all streams flow again, or until the client has ended. In the tests the back-off is 5 to 20 ms, what does not
answer is given 150 ms, silence 600 ms, and the clock of the login jumps to the end of `fetch_s`. A dash:
nothing was interrupted.
"""

_HEAD = """\
| fault | policy | client | may be lost | before subscribe | while streaming | during refresh |
|---|---|---|---|---|---|---|
"""

_ROW = re.compile(
    r"^\| ([^|]+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \| [^|]+ \| [^|]+ \| [^|]+ \|$", re.MULTILINE
)

Results = Mapping[tuple[str, Phase], Seen]


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


def expectations(text: str) -> list[tuple[str, ...]]:
    """The same columns, of all rows of the page."""
    rows = [match.groups() for match in _ROW.finditer(text)]
    return [row for row in rows if row[0] not in ("fault", "---")]


def page(results: Results) -> str:
    """The page, from a run of the whole matrix."""
    lines = [f"| {' | '.join([*expected(case), *_times(case, results)])} |\n" for case in CASES]
    return f"{_INTRODUCTION}\n{_totals(results)}\n{_HEAD}{''.join(lines)}"


def _names(rows: tuple[str, ...]) -> str:
    if not rows:
        return "-"
    if len(rows) > 1 and len(set(rows)) == 1:
        return f"`{rows[0]}` {len(rows)} times"
    return ", ".join(f"`{row}`" for row in rows)


def _times(case: Case, results: Results) -> list[str]:
    before, streaming, renewed, unrenewed = (_ms(results[case.name, phase]) for phase in Phase)
    return [before, streaming, renewed if renewed == unrenewed == "-" else f"{renewed} / {unrenewed}"]


def _ms(seen: Seen) -> str:
    return "-" if seen.recovery_s is None else f"{seen.recovery_s * 1e3:.0f}"


def _totals(results: Results) -> str:
    runs = results.values()
    connections = sum(len(seen.connections) for seen in runs)
    sent = sum(info.sent.ticks for seen in runs for info in seen.connections.values())
    lost = sent - sum(sum(seen.ticks.values()) for seen in runs)
    return (
        f"The run below: {len(results)} cases and phases, {connections} connections, {sent:,} ticks sent, "
        f"{lost:,} of them lost on links that ended before they were read.\n"
    )
