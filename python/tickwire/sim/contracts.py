"""Contracts of the simulated market, and the vendor's names for them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal

from tickwire.errors import ConfigError

__all__ = ["Contract", "contracts", "symbol_id", "symbol_name"]


@dataclass(frozen=True, slots=True)
class Contract:
    """One instrument of the market model.

    Attributes:
        symbol: contract id, such as "CON.F.US.EP.Z26".
        tick_size: smallest step of its price.
        price: where its walk starts, rounded to the grid.
        weight: its share of the activity, relative to the others.
        volatility_ticks: standard deviation of its price after one second, in ticks.
    """

    symbol: str
    tick_size: float
    price: float
    weight: float = 1.0
    volatility_ticks: float = 2.0

    def __post_init__(self) -> None:
        if not self.symbol:
            raise ConfigError("symbol='': expected a contract id such as 'CON.F.US.EP.Z26'")
        for name in ("tick_size", "price", "weight", "volatility_ticks"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ConfigError(f"{self.symbol}: {name}={value!r}: expected a number above 0")
        if self.start_ticks() < 16:
            raise ConfigError(
                f"{self.symbol}: price={self.price!r}: expected at least 16 ticks of {self.tick_size!r}"
            )

    def scaled_tick(self) -> tuple[int, int]:
        """The tick size as a fraction of integers, read from its decimal text."""
        # `ticks * numerator / denominator` is then the double nearest to the decimal price, which
        # `ticks * tick_size` is not (3 * 0.1).
        return Decimal(repr(self.tick_size)).as_integer_ratio()

    def start_ticks(self) -> int:
        """The start price in ticks."""
        return round(self.price / self.tick_size)


_BUILT_IN = (
    Contract("CON.F.US.EP.Z26", 0.25, 6_450.0, weight=3.0, volatility_ticks=2.0),
    Contract("CON.F.US.ENQ.Z26", 0.25, 23_500.0, weight=3.0, volatility_ticks=5.0),
    Contract("CON.F.US.GCE.Z26", 0.1, 3_350.0, weight=1.5, volatility_ticks=3.0),
    Contract("CON.F.US.CLE.Z26", 0.01, 68.5, weight=1.5, volatility_ticks=2.0),
    Contract("CON.F.US.EU6.Z26", 0.00005, 1.0855, weight=1.0, volatility_ticks=1.5),
    Contract("CON.F.US.TYA.Z26", 0.015625, 111.5, weight=1.0, volatility_ticks=0.8),
    Contract("CON.F.US.RTY.Z26", 0.1, 2_300.0, weight=1.0, volatility_ticks=3.0),
    Contract("CON.F.US.YM.Z26", 1.0, 44_500.0, weight=1.0, volatility_ticks=3.0),
)


def contracts(count: int | None = None) -> tuple[Contract, ...]:
    """The built-in contracts; `count` takes the first so many, and invents further ones if needed."""
    if count is None:
        return _BUILT_IN
    if count < 1:
        raise ConfigError(f"instruments={count!r}: expected at least 1")
    invented = (
        Contract(f"CON.F.US.SIM{number}.Z26", 0.25, 1_000.0 + 10 * number)
        for number in range(1, count - len(_BUILT_IN) + 1)
    )
    return (*_BUILT_IN[:count], *invented)


def symbol_id(contract_id: str) -> str:
    """The id without its expiry ("CON.F.US.EP.Z26" -> "F.US.EP"); other ids are their own."""
    parts = contract_id.split(".")
    return ".".join(parts[1:-1]) if len(parts) > 3 and parts[0] == "CON" else contract_id


def symbol_name(contract_id: str) -> str:
    """A short name as quotes carry it ("CON.F.US.EP.Z26" -> "/EP")."""
    return "/" + symbol_id(contract_id).rsplit(".", 1)[-1]
