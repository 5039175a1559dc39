"""The ProjectX gateway's names for things: hub methods and events, REST paths, error codes, contracts.

Facts from the gateway's documentation and its swagger file. Nothing here opens a connection; see
`gateway` for that.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from .config import Instrument
from .errors import LoginFailed, RequestFailed

__all__ = [
    "API",
    "CONTRACT_BY_ID",
    "CONTRACT_SEARCH",
    "HUBS",
    "LOGIN",
    "LOGOUT",
    "LOGOUT_TARGET",
    "RETRIEVE_BARS",
    "SESSION_IS_OVER",
    "SUBSCRIBE_METHODS",
    "VALIDATE",
    "Contract",
    "code_of",
    "contracts_of",
    "login_failed",
    "refused",
]

API: Final = "https://api.topstepx.com"
HUBS: Final = "https://rtc.topstepx.com"

LOGIN: Final = "/api/Auth/loginKey"
VALIDATE: Final = "/api/Auth/validate"
LOGOUT: Final = "/api/Auth/logout"
CONTRACT_SEARCH: Final = "/api/Contract/search"
CONTRACT_BY_ID: Final = "/api/Contract/searchById"
RETRIEVE_BARS: Final = "/api/History/retrieveBars"

LOGOUT_TARGET = "gatewaylogout"
"""The event that says that the session was ended, on all hubs at once; in lower case, since clients differ."""

SUBSCRIBE_METHODS = {
    "trades": "SubscribeContractTrades",
    "quotes": "SubscribeContractQuotes",
    "depth": "SubscribeContractMarketDepth",
}
"""Stream name to the market hub's method, called with one contract id."""

# LoginErrorCode. All but one say that the same credentials will be refused again.
_LOGIN_ERRORS: Final = {
    1: "there is no such user; check user=",
    2: "the password is wrong",
    3: "user or key are wrong; check both, and that the key has not been replaced",
    4: "there is no such application",
    5: "the application could not be verified",
    6: "the device is not accepted",
    7: "agreements are not signed; log in on the web site and sign them",
    8: "the gateway does not say why",
    9: "the account has no API subscription",
    10: "logging in with a key is disabled for this account",
}
_LOGIN_MAY_WORK_LATER: Final = 8

# ValidateErrorCode: session invalid, not found, token expired. A new login mends these.
SESSION_IS_OVER: Final = frozenset({1, 2, 3})

# Error codes of the other requests, by path.
_ERRORS: Final[dict[str, dict[int, str]]] = {
    CONTRACT_BY_ID: {1: "there is no such contract"},
    RETRIEVE_BARS: {
        1: "there is no such contract",
        2: "the unit is not valid",
        3: "the number of units is not valid",
        4: "the limit is not valid",
    },
}


def login_failed(code: int) -> LoginFailed:
    """The error for a login that was answered with this code."""
    words = _LOGIN_ERRORS.get(code, "a code that is not documented")
    permanent = code in _LOGIN_ERRORS and code != _LOGIN_MAY_WORK_LATER
    return LoginFailed(
        f"the gateway refused the login with code {code}: {words}", code=code, permanent=permanent
    )


def refused(path: str, reply: Mapping[str, Any]) -> RequestFailed | None:
    """The error in an answer with status 200, or None if it says that all went well."""
    if reply.get("success") is True:
        return None
    code = code_of(reply)
    words = _ERRORS.get(path, {}).get(code)
    return RequestFailed(
        f"the gateway refused {path} with code {code}" + (f": {words}" if words else ""),
        code=code,
        status=200,
        permanent=words is not None,
    )


def code_of(reply: Mapping[str, Any]) -> int:
    """The error code in an answer; -1 if there is none that makes sense."""
    code = reply.get("errorCode")
    return code if isinstance(code, int) and not isinstance(code, bool) else -1


@dataclass(frozen=True, slots=True)
class Contract:
    """A contract that the gateway knows.

    Attributes:
        id: what hubs and history are asked for, e.g. "CON.F.US.EP.Z26".
        name: as traders call it, e.g. "ESZ6".
        description: in words.
        tick_size: smallest step of the price.
        tick_value: worth of one tick, in the contract's currency.
        active: whether it is the one that is traded now.
        symbol_id: the id without the expiry, e.g. "F.US.EP"; "" if the gateway does not say.
    """

    id: str
    name: str
    description: str
    tick_size: float
    tick_value: float
    active: bool
    symbol_id: str

    def instrument(self, **options: Any) -> Instrument:
        """An `Instrument` for an engine, with this id and tick size; options as for `Instrument`."""
        return Instrument(self.id, tick_size=self.tick_size, **options)


def contracts_of(path: str, reply: Mapping[str, Any]) -> list[Contract]:
    """The contracts in an answer: under "contracts", or one under "contract"."""
    found = reply.get("contracts")
    if found is None and "contract" in reply:
        found = [] if reply["contract"] is None else [reply["contract"]]
    contracts = [_contract(one) for one in found] if isinstance(found, list) else [None]
    # A traceback does not show what the gateway said.
    del reply, found
    known = [one for one in contracts if one is not None]
    if len(known) < len(contracts):
        raise RequestFailed(
            f"the gateway answered {path} with no list of contracts that have an id, a name and a tick",
            status=200,
        )
    return known


def _contract(fields: object) -> Contract | None:
    """A contract, unless something is missing."""
    known = fields if isinstance(fields, dict) else {}
    contract = None
    with contextlib.suppress(KeyError, TypeError):
        contract = Contract(
            id=_text(known["id"]),
            name=_text(known["name"]),
            description=_text(known.get("description") or ""),
            tick_size=_number(known["tickSize"]),
            tick_value=_number(known["tickValue"]),
            active=known.get("activeContract") is True,
            symbol_id=_text(known.get("symbolId") or ""),
        )
    return contract if contract is not None and contract.id and contract.tick_size > 0 else None


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TypeError
    return float(value)
