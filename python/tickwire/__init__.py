"""Real-time market data for Python strategies: SignalR hubs in, validated ticks, correct bars and
Polars frames out. The hot path is Rust.

    engine = tw.Engine([tw.Instrument("CON.F.US.EP.Z25", tick_size=0.25)], timeframes=["1s", "1m"])
    with tw.connect(hub="https://…/hubs/market", token="…", engine=engine) as client:
        for bar in client.bars("1m"):
            print(bar)
"""

from __future__ import annotations

import warnings

from . import _core
from ._core import Bar, Feed, Quote, Receipt, Snapshot, Trade
from .config import Instrument, Rules
from .engine import Engine
from .errors import (
    ConfigError,
    ConnectionFailed,
    ConnectTimeout,
    DataError,
    HandshakeRefused,
    SubscribeRefused,
    SubscriptionClosed,
    TickwireError,
    UnknownInstrument,
    UpgradeRefused,
)
from .subscription import Subscription

__version__ = _core.__version__

__all__ = [
    "Bar",
    "ConfigError",
    "ConnectTimeout",
    "ConnectionFailed",
    "DataError",
    "Engine",
    "Feed",
    "HandshakeRefused",
    "Instrument",
    "Quote",
    "Receipt",
    "Rules",
    "Snapshot",
    "SubscribeRefused",
    "Subscription",
    "SubscriptionClosed",
    "TickwireError",
    "Trade",
    "UnknownInstrument",
    "UpgradeRefused",
    "__version__",
]

if _core.debug_build:
    warnings.warn(
        "this is a debug build of tickwire, many times slower than a release build; "
        "build it with `maturin develop --release`",
        RuntimeWarning,
        stacklevel=2,
    )
