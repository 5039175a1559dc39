"""The ProjectX gateway's names for things, as far as the live connection needs them."""

from __future__ import annotations

__all__ = ["SUBSCRIBE_METHODS"]

SUBSCRIBE_METHODS = {
    "trades": "SubscribeContractTrades",
    "quotes": "SubscribeContractQuotes",
    "depth": "SubscribeContractMarketDepth",
}
"""Stream name to the market hub's method, called with one contract id."""
