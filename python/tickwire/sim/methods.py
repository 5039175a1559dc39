"""What can be called on the two hubs, and how the answers read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["Call", "answer"]


@dataclass(frozen=True, slots=True)
class Call:
    """What an invocation asks for: start or stop a subscription, or nothing that concerns the hub."""

    action: Literal["subscribe", "unsubscribe", "none"]
    kind: str = ""
    contract: str = ""


_MARKET = {
    f"{verb}Contract{noun}": (action, kind)
    for verb, action in (("Subscribe", "subscribe"), ("Unsubscribe", "unsubscribe"))
    for noun, kind in (("Quotes", "quote"), ("Trades", "trade"), ("MarketDepth", "depth"))
}

# Of the user hub only the names and argument types are known here; accounts are not simulated.
_USER: dict[str, tuple[type, ...]] = {
    f"{verb}{noun}": types
    for verb in ("Subscribe", "Unsubscribe")
    for noun, types in (("Accounts", ()), ("Orders", (int,)), ("Positions", (int,)), ("Trades", (int,)))
}


def answer(
    hub: str, target: str, arguments: tuple[Any, ...], contracts: frozenset[str] | None
) -> tuple[Call | None, str | None]:
    """What to do for an invocation, and the error of its completion; one of the two is None.

    Args:
        hub: "market" or "user".
        target: method name, matched with its case.
        arguments: as decoded.
        contracts: the contracts that exist, or None if any id will do.
    """
    if hub == "market" and target in _MARKET:
        action, kind = _MARKET[target]
        if len(arguments) != 1 or not isinstance(arguments[0], str):
            return None, _failed(target, f"expected one contract id, got {len(arguments)} argument(s)")
        contract = arguments[0]
        if contracts is not None and contract not in contracts:
            return None, _failed(target, "no such contract")
        return Call(action, kind, contract), None  # type: ignore[arg-type]  # the table's two verbs
    if hub == "user" and target in _USER:
        types = _USER[target]
        if tuple(type(argument) for argument in arguments) != types:
            return None, _failed(target, f"expected {len(types)} argument(s) of type integer")
        return Call("none"), None
    return None, _failed(target, "Method does not exist.")


def _failed(target: str, why: str) -> str:
    # The wording of an ASP.NET hub, so that clients that look for it find it.
    return f"Failed to invoke '{target}' due to an error on the server. HubException: {why}"
