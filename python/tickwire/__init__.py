"""Real-time market data for Python strategies: SignalR hubs in, validated ticks, correct bars and
Polars frames out. The hot path is Rust.

    engine = tw.Engine([tw.Instrument("CON.F.US.EP.Z25", tick_size=0.25)], timeframes=["1s", "1m"])
    with tw.connect(hub="https://…/hubs/market", token="…", engine=engine) as client:
        for bar in client.bars("1m"):
            print(bar)
"""

from __future__ import annotations

import importlib
import logging
import warnings
from typing import TYPE_CHECKING, Any

from . import _core, events, sessions
from ._core import Bar, Book, Feed, Overlap, OverlapReport, Quote, Receipt, Snapshot, Trade, Verdict, Volumes
from .aggregator import BarAggregator
from .auth import Token, env
from .backfill_settings import BackfillSettings
from .breaker import Breaker, BreakerSettings
from .calendar import Transition, Zone
from .client import Client
from .config import Instrument, Rules
from .connecting import connect
from .engine import Engine
from .errors import (
    BreakerOpen,
    ConfigError,
    ConnectionFailed,
    ConnectTimeout,
    DataError,
    HandshakeRefused,
    HistoryFailed,
    HubClosed,
    LoggedOut,
    LoginFailed,
    NegotiateRefused,
    ProxyRefused,
    RequestFailed,
    SessionTakenOver,
    SubscribeRefused,
    SubscriptionClosed,
    TickwireError,
    UnknownInstrument,
    UpgradeRefused,
)
from .event_stream import EventStream
from .gateway import Gateway, projectx
from .health import Health, HealthSettings
from .link_limits import LinkLimits
from .login import Login
from .login_limits import LoginLimits
from .policy import Decision, Failure
from .rejections import RejectionLimits
from .route import TokenInQueryWarning
from .session import Session, SessionState
from .session_hours import Hours
from .session_table import SessionTable
from .sessions import ALWAYS, CME
from .subscription import Subscription
from .validator import Validator

if TYPE_CHECKING:
    from . import sim

__version__ = _core.__version__

__all__ = [
    "ALWAYS",
    "CME",
    "BackfillSettings",
    "Bar",
    "BarAggregator",
    "Book",
    "Breaker",
    "BreakerOpen",
    "BreakerSettings",
    "Client",
    "ConfigError",
    "ConnectTimeout",
    "ConnectionFailed",
    "DataError",
    "Decision",
    "Engine",
    "EventStream",
    "Failure",
    "Feed",
    "Gateway",
    "HandshakeRefused",
    "Health",
    "HealthSettings",
    "HistoryFailed",
    "Hours",
    "HubClosed",
    "Instrument",
    "LinkLimits",
    "LoggedOut",
    "Login",
    "LoginFailed",
    "LoginLimits",
    "NegotiateRefused",
    "Overlap",
    "OverlapReport",
    "ProxyRefused",
    "Quote",
    "Receipt",
    "RejectionLimits",
    "RequestFailed",
    "Rules",
    "Session",
    "SessionState",
    "SessionTable",
    "SessionTakenOver",
    "Snapshot",
    "SubscribeRefused",
    "Subscription",
    "SubscriptionClosed",
    "TickwireError",
    "Token",
    "TokenInQueryWarning",
    "Trade",
    "Transition",
    "UnknownInstrument",
    "UpgradeRefused",
    "Validator",
    "Verdict",
    "Volumes",
    "Zone",
    "__version__",
    "connect",
    "env",
    "events",
    "projectx",
    "sessions",
    "sim",
]

# What a library logs is shown where the program says so, and nowhere else.
logging.getLogger(__name__).addHandler(logging.NullHandler())

if _core.debug_build:
    warnings.warn(
        "this is a debug build of tickwire, many times slower than a release build; "
        "build it with `maturin develop --release`",
        RuntimeWarning,
        stacklevel=2,
    )


def __getattr__(name: str) -> Any:
    # The simulator brings a server along; most programs never need it.
    if name == "sim":
        return importlib.import_module(".sim", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
