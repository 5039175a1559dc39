"""What rules suit an asset class: the table behind `Rules.of`.

The numbers are starting points, wide enough that what such a market ordinarily does breaks none of
them. Where a price limit of the venue is known, `price_low` and `price_high` say so more sharply.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

__all__ = ["BY_ASSET_CLASS", "AssetClass"]

AssetClass = Literal["futures", "equity", "fx", "crypto"]

# Worth a look everywhere, and no reason to lose a tick.
_ALL: dict[str, Any] = {
    "spike": "flag",
    "outsize": "flag",
    "stale": "flag",
    "backwards": "flag",
    "locked": "flag",
    "one_sided": "flag",
}

BY_ASSET_CLASS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        # Spreads and energy trade below zero: crude oil settled at -37.63 on 20 April 2020.
        "futures": _ALL | {"allow_negative": True, "band_width": 0.05},
        # Executions inside the spread are off the grid of quotes as a matter of course, and locked quotes
        # between venues are common.
        "equity": _ALL | {"grid": "off", "locked": "off", "zero_size": "flag", "band_width": 0.1},
        # A zero spread is offered now and then; prints beyond two percent in a row are no market.
        "fx": _ALL | {"locked": "off", "band_width": 0.02},
        "crypto": _ALL | {"zero_size": "flag", "band_width": 0.2},
    }
)
