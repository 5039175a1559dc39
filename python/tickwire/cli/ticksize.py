"""The tick size of an instrument, worked out from its prices.

It is the coarsest decimal grid through zero that all of them lie on. What trades rarely may show a
coarser grid than the exchange's, and one price off the grid makes it finer: it describes the data,
not the contract.
"""

from __future__ import annotations

from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

__all__ = ["infer"]

_MOST_PLACES = 12
# A price that was computed, as by adding a tick to another, is off its decimal by a few of these.
_ULPS = 4


def infer(prices: NDArray[np.float64]) -> Decimal | None:
    """The tick size, exactly; None where the prices lie on no grid that doubles can tell from noise.

    With only one distinct price the grid is one unit in its last decimal place. NaN, infinities and
    zeros say nothing, and are ignored.
    """
    values = np.unique(np.abs(prices[np.isfinite(prices)]))
    values = values[values > 0]
    if not len(values):
        return None
    ulps = np.spacing(values)
    for places in range(_MOST_PLACES + 1):
        scale = 10.0**places
        if 1 / scale < 4 * _ULPS * ulps[-1]:
            return None
        whole = np.rint(values * scale)
        if np.all(np.abs(whole / scale - values) <= _ULPS * ulps):
            step = 1 if len(values) == 1 else int(np.gcd.reduce(whole.astype(np.int64)))
            return Decimal(step).scaleb(-places)
    return None
