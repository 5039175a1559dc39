"""A report of `quality` as lines for a terminal, one self-contained HTML page, or JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any

__all__ = ["FORMATS", "html", "lines", "write"]

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1b1f24; background: #fff; max-width: 72rem;
       margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.5rem; border-bottom: 1px solid #d0d7de; }
h3 { font-size: 1rem; margin: 1.2rem 0 .3rem; }
table { border-collapse: collapse; } td, th { padding: .2rem .8rem .2rem 0; text-align: left;
       vertical-align: top; } th { color: #57606a; font-weight: 500; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
.wide { overflow-x: auto; } code { font-size: .9em; } .rejected { color: #a40e26; }
@media (prefers-color-scheme: dark) { body { color: #e6edf3; background: #0d1117; }
       h2 { border-color: #30363d; } th { color: #8b949e; } .rejected { color: #ff7b72; } }
"""

_FINDINGS = ("what", "stream", "rule", "count", "share", "first (row of the file)", "last")


FORMATS = (".html", ".json")
"""What `write` writes, by the file's suffix."""


def write(report: dict[str, Any], paths: Iterable[Path]) -> None:
    """Write the report to files."""
    for path in paths:
        as_json = path.suffix.lower() == ".json"
        path.write_text(json.dumps(report, allow_nan=False, indent=1) if as_json else html(report), "utf-8")


def lines(report: dict[str, Any]) -> list[str]:
    """The report as lines of text."""
    out = []
    for one in report["instruments"]:
        out += ["", f"quality of {one['symbol']}"]
        out += [f"  {name}: {value}" for name, value in _facts(one)]
        for finding in one["findings"]:
            count, share = f"{finding['count']:,}", _share(finding["share"])
            out.append(
                f"  {finding['action']} {finding['reason']}: {count} {finding['kind']}s ({share}), "
                f"first {_example(finding['first'])}"
            )
        out += [f"  {gap}" for gap in _gaps(one)]
    return out


def html(report: dict[str, Any]) -> str:
    """The report as a page that needs nothing else."""
    body = [f"<h1>Quality of {escape(report['file'])}</h1>", _summary(report)]
    for one in report["instruments"]:
        body.append(f"<h2>{escape(one['symbol'])}</h2>")
        body.append(_table(None, _facts(one)))
        rows = [
            (
                f'<span class="{finding["action"]}">{finding["action"]}</span>',
                finding["kind"] + "s",
                f"<code>{escape(finding['reason'])}</code>",
                f"{finding['count']:,}",
                _share(finding["share"]),
                escape(_example(finding["first"])),
                escape(_example(finding["last"])),
            )
            for finding in one["findings"]
        ]
        body.append("<h3>Rejected and flagged</h3>")
        body.append(_table(_FINDINGS, rows, raw=True) if rows else "<p>Nothing.</p>")
        if gaps := _gaps(one):
            body.append("<h3>Longest times without a tick</h3>")
            body.append("<ul>" + "".join(f"<li>{escape(gap)}</li>" for gap in gaps) + "</ul>")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Quality of {escape(report['file'])}</title><style>{_STYLE}</style></head>\n"
        "<body>\n" + "\n".join(body) + "\n</body></html>\n"
    )


def _summary(report: dict[str, Any]) -> str:
    headers = ("instrument", "trades", "quotes", "rejected", "flagged", "late")
    rows = [
        (
            one["symbol"],
            f"{one['trades']:,}",
            f"{one['quotes']:,}",
            f"{_count(one, 'rejected'):,}",
            f"{_count(one, 'flagged'):,}",
            f"{one['late']:,}",
        )
        for one in report["instruments"]
    ]
    return _table(headers, rows)


def _count(one: dict[str, Any], action: str) -> int:
    return sum(finding["count"] for finding in one["findings"] if finding["action"] == action)


def _facts(one: dict[str, Any]) -> list[tuple[str, str]]:
    facts = [
        ("ticks", f"{one['ticks']:,} ({one['trades']:,} trades, {one['quotes']:,} quotes)"),
        ("from", f"{_moment(one['first'])} to {_moment(one['last'])}"),
        ("tick size", f"{one['tick_size']:g}"),
        ("late for their bars", f"{one['late']:,}"),
    ]
    for stream in ("trades", "quotes"):
        order = one["out_of_order"][stream]
        if order["count"]:
            facts.append((f"{stream} out of order", f"{order['count']:,}, at most {order['most_s']:.6g} s"))
        if one["same_rows"][stream]:
            facts.append((f"{stream} that repeat another", f"{one['same_rows'][stream]:,}"))
    if (spread := one["spread"]) is not None:
        if spread["median_ticks"] is not None:
            numbers = " / ".join(f"{spread[name]:.4g}" for name in ("median_ticks", "p95_ticks", "max_ticks"))
            facts.append(("spread in ticks (median / 95% / largest)", numbers))
        shares = [
            f"{name.replace('_', ' ')} {_share(spread[f'{name}_share'])}"
            for name in ("crossed", "locked", "one_sided")
        ]
        facts.append(("quotes", ", ".join(shares)))
    if (clock := one["clock"]) is not None:
        numbers = " / ".join(f"{clock[name]:.6g}" for name in ("min_s", "median_s", "p99_s", "max_s"))
        facts.append(("arrival after event, s (least / median / 99% / most)", numbers))
        facts.append(("arrived before they happened", _share(clock["before_event_share"])))
    return facts


def _gaps(one: dict[str, Any]) -> list[str]:
    return [f"silent for {_length(gap['length_s'])} from {_moment(gap['start'])}" for gap in one["gaps"]]


def _length(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.3g} s"
    minutes, hours = seconds / 60, seconds / 3_600
    return f"{minutes:.3g} min" if minutes < 120 else f"{hours:.3g} h"


def _moment(text: str | None) -> str:
    # To the millisecond: the JSON has the rest.
    return "?" if text is None else text[:-7].replace("T", " ")


def _share(share: float) -> str:
    return f"{share:.3%}" if 0 < share < 0.001 else f"{share:.1%}"


def _example(example: dict[str, Any]) -> str:
    values = ", ".join(
        f"{name} {value if isinstance(value, str) else format(value, '.10g')}"
        for name, value in example.items()
        if name not in ("row", "ts_event")
    )
    return f"row {example['row']}, {_moment(example['ts_event'])}: {values or 'no price'}"


def _table(headers: Sequence[str] | None, rows: Iterable[Sequence[str]], *, raw: bool = False) -> str:
    """`raw`: the cells are HTML already."""

    def cell(index: int, text: str) -> str:
        if headers is None and index == 0:
            return f"<th>{escape(text)}</th>"
        is_number = text.replace(",", "").replace(".", "").rstrip("%").isdigit()
        kind = ' class="number"' if is_number else ""
        return f"<td{kind}>{text if raw else escape(text)}</td>"

    head = "" if headers is None else "<tr>" + "".join(f"<th>{escape(h)}</th>" for h in headers) + "</tr>"
    body = "".join("<tr>" + "".join(cell(i, text) for i, text in enumerate(row)) + "</tr>" for row in rows)
    return f'<div class="wide"><table>{head}{body}</table></div>'
