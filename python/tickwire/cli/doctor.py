"""`tickwire doctor`: what works on the way to a hub, and what to try where it does not."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from tickwire.errors import ConfigError

from .account import KEY_ENV, USER_ENV, gateway_of
from .output import names, print_json, results_console

if TYPE_CHECKING:
    from rich.console import Console

    from .checkup import Step

__all__ = ["doctor"]

_STYLES = {"ok": "green", "failed": "bold red", "skipped": "dim"}
_INDENT = " " * 8


def doctor(
    hub: Annotated[
        str | None, typer.Option(help="URL of the hub; with a gateway, its market hub by default.")
    ] = None,
    token_env: Annotated[
        str | None, typer.Option(help="Environment variable that holds the hub's token.")
    ] = None,
    symbol: Annotated[str | None, typer.Option(help="Contract id to subscribe.")] = None,
    streams: Annotated[str, typer.Option(help="Of trades, quotes, depth; commas between.")] = "trades,quotes",
    limit: Annotated[float, typer.Option(help="Seconds that each step may take.", min=0.1)] = 10.0,
    proxy: Annotated[str | None, typer.Option(help='URL of an HTTP proxy, or "env".')] = None,
    protocol: Annotated[
        Literal["json", "messagepack"], typer.Option(help="What to speak with the hub.")
    ] = "json",
    negotiate: Annotated[bool, typer.Option("--negotiate", help="Ask for a connection first.")] = False,
    token_in: Annotated[
        Literal["header", "query"], typer.Option(help="Where the token goes; servers log URLs.")
    ] = "header",
    api: Annotated[
        str | None, typer.Option(help="URL of a gateway's REST interface: log in there first.")
    ] = None,
    user_env: Annotated[
        str | None, typer.Option(help=f"Variable with the user's name for --api, usually {USER_ENV}.")
    ] = None,
    key_env: Annotated[
        str | None, typer.Option(help=f"Variable with the API key for --api, usually {KEY_ENV}.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of lines.")] = False,
) -> None:
    """Go the way to a hub step by step, and say what fails and what to try.

    Each step is done as a client does it, and told with the time that it took. The exit status is 1 if
    one failed. No token, user or key is shown. Logging in to a gateway can end this user's sessions
    elsewhere.
    """
    # Imported here: the connection layer takes longer than a help page should.
    from tickwire.address import HubAddress
    from tickwire.auth import env
    from tickwire.proxy import Proxies
    from tickwire.route import Route

    from .checkup import Checkup, Order

    gateway = None
    if api is not None or user_env is not None or key_env is not None:
        gateway = gateway_of(api, user_env or USER_ENV, key_env or KEY_ENV, proxy)
        hub = gateway.market_hub if hub is None else hub
    if hub is None:
        raise ConfigError("--hub: got none, expected the URL of a hub; or log in to a gateway with --api")
    if token_env is not None and gateway is not None:
        raise ConfigError("--token-env: the gateway gives out the token; leave out one of the two")
    route = Route(
        address=HubAddress.parse(hub),
        proxies=Proxies.of(proxy),
        negotiate=negotiate,
        token_in=token_in,
    )
    order = Order(
        route=route,
        token=env(token_env)() if token_env is not None else None,
        gateway=gateway,
        symbol=symbol,
        streams=tuple(names("--streams", streams)),
        protocol=protocol,
        limit_s=limit,
    )
    console = None if as_json else results_console()
    steps = []
    with contextlib.closing(Checkup(order).steps()) as taken:
        for step in taken:
            steps.append(step)
            if console is not None:
                _print(step, console)
    failed = [step.name for step in steps if step.outcome == "failed"]
    if console is None:
        print_json(
            {
                "ok": not failed,
                "hub": str(route.address),
                "steps": [dataclasses.asdict(step) for step in steps],
            }
        )
    else:
        console.print(f"failed: {', '.join(failed)}" if failed else f"{route.address}: all is well")
    if failed:
        raise typer.Exit(1)


def _print(step: Step, console: Console) -> None:
    from rich.text import Text

    took = "" if step.took_s is None else f"{1e3 * step.took_s:,.1f} ms"
    line = Text(f"{step.outcome:<8}", style=_STYLES[step.outcome])
    line.append(f"{step.name:<17} {took:>11}  ", style="default not bold")
    line.append(step.text, style="dim" if step.outcome == "skipped" else "default not bold")
    console.print(line, soft_wrap=True)
    for label, text in (("try: ", step.advice), ("by itself: ", step.reaction)):
        if text is not None:
            console.print(f"{_INDENT}{label}{text}", soft_wrap=True)
