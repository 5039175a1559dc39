"""`Validator`: an instrument's rules alone, without ring, bars or counters of an engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from . import _core
from .alignment import hours
from .config import Instrument, Rules
from .errors import ConfigError
from .units import float_column, int_column, side_column

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import ArrayLike

__all__ = ["Validator"]


class Validator(_core.Validator):
    """Judges the ticks of one instrument as an engine would, but that nothing is late: there are no bars.
    Trades and quotes are two streams, each judged in the order of the calls. It remembers what the rules
    ask for (the price band, usual sizes) and keeps no ticks.

    Args:
        instrument: whose rules; its bars and streams play no part.

    Raises:
        ConfigError: not an instrument.

    Example:
        >>> import tickwire as tw
        >>> validator = tw.Validator(tw.Instrument("ES", tick_size=0.25))
        >>> validator.trade(1_700_000_000_000_000_000, 4500.25, 2).accepted
        True
        >>> validator.trade(1_700_000_001_000_000_000, 45.25, 2).reason
        'band'
        >>> validator.quote(1_700_000_001_000_000_000, 4500.5, 4500.25).flags
        ('crossed',)
    """

    def __new__(cls, instrument: Instrument) -> Self:
        if not isinstance(instrument, Instrument):
            raise ConfigError(f"instrument: got {instrument!r}, expected a tickwire.Instrument")
        tick_size, stamp_arrival = float(instrument.tick_size), instrument.stamp == "arrival"
        open_hours = hours(instrument.session)
        return super().__new__(cls, instrument.symbol, instrument.rules, tick_size, stamp_arrival, open_hours)

    def trades(
        self,
        *,
        ts_event: ArrayLike,
        price: ArrayLike,
        size: ArrayLike,
        side: ArrayLike | None = None,
        ts_recv: ArrayLike | None = None,
    ) -> pl.DataFrame:
        """Judge columns of trades, row after row; the same as `trade` for each.

        Args:
            ts_event: int64 ns UTC or datetime64, shape (n,). price, size: float64, shape (n,).
            side: 1 buy, -1 sell, 0 not known. ts_recv: arrival times, as ts_event.

        Returns:
            One row per trade: accepted Boolean; reason String, null if accepted; flags List(String). The
            ticks of a spike carry its flag, as far as they are rows of the same call.

        Raises:
            DataError: columns of different lengths or wrong types; nothing was judged.
        """
        return self._verdicts(
            self._trades(
                int_column("ts_event", ts_event),
                float_column("price", price),
                float_column("size", size),
                None if side is None else side_column("side", side),
                None if ts_recv is None else int_column("ts_recv", ts_recv),
            )
        )

    def quotes(
        self,
        *,
        ts_event: ArrayLike,
        bid: ArrayLike,
        ask: ArrayLike,
        bid_size: ArrayLike | None = None,
        ask_size: ArrayLike | None = None,
        last: ArrayLike | None = None,
        ts_recv: ArrayLike | None = None,
    ) -> pl.DataFrame:
        """Judge columns of quotes; as `trades`. What is absent is NaN."""

        def optional(name: str, values: ArrayLike | None) -> Any:
            return None if values is None else float_column(name, values)

        return self._verdicts(
            self._quotes(
                int_column("ts_event", ts_event),
                float_column("bid", bid),
                float_column("ask", ask),
                optional("bid_size", bid_size),
                optional("ask_size", ask_size),
                optional("last", last),
                None if ts_recv is None else int_column("ts_recv", ts_recv),
            )
        )

    def set_rules(self, rules: Rules) -> None:
        """Judge all later ticks by other rules; what was learned of the market stays."""
        if not isinstance(rules, Rules):
            raise ConfigError(f"rules: got {rules!r}, expected a tickwire.Rules")
        self._set_rules(rules)

    def _verdicts(self, columns: tuple[Any, Any]) -> pl.DataFrame:
        import polars as pl

        names = self._reasons()
        codes, bits = (pl.Series(column) for column in columns)
        reasons = dict(enumerate(names, start=1))
        # There are few sets of flags, however many rows.
        sets = {
            flags: [name for place, name in enumerate(names) if flags >> place & 1] for flags in bits.unique()
        }
        listed = pl.DataFrame(
            {"bits": list(sets), "flags": list(sets.values())},
            schema={"bits": pl.UInt32, "flags": pl.List(pl.String)},
        )
        return (
            pl.DataFrame(
                {
                    "accepted": codes == 0,
                    "reason": codes.replace_strict(reasons, default=None, return_dtype=pl.String),
                    "bits": bits,
                }
            )
            .join(listed, on="bits", how="left", maintain_order="left")
            .drop("bits")
        )
