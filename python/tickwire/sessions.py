"""The hours of exchanges, as `Session` values.

    tw.sessions.CME      Globex equity index futures      tw.sessions.NYSE, NASDAQ   stocks, with pre and post
    tw.sessions.CBOT     grains and oilseeds              tw.sessions.LSE, ASX       stocks, with auctions
    tw.sessions.COMEX    metals                           tw.sessions.EUREX          DAX, EURO STOXX 50, Bund
    tw.sessions.NYMEX    energy                           tw.sessions.FX, ALWAYS     spot currencies; 24/7

    tw.sessions.within(frame, session)              the rows of bars or ticks that lie in the hours
    tw.sessions.running_vwap(frame, session)        the VWAP of each trading day

They know weekdays, hours, and the days from which hours have held, and no holidays and no early closes: on
those days they say open. Give the days as `holidays=` and `early_closes=` to a `Session` of your own, or take
`from_exchange_calendars`, which brings the history of many stock exchanges along. Exchanges set the holidays
of futures by product and by year; no rule has them all.

Where hours changed, the earliest ones given here are shown for all time before, too.
"""

from __future__ import annotations

from .session import Session
from .session_calendars import from_exchange_calendars
from .session_frames import running_vwap, within
from .session_hours import EVERY_DAY, Hours

__all__ = [
    "ALWAYS",
    "ASX",
    "CBOT",
    "CME",
    "COMEX",
    "EUREX",
    "FX",
    "LSE",
    "NASDAQ",
    "NYMEX",
    "NYSE",
    "from_exchange_calendars",
    "running_vwap",
    "within",
]

ALWAYS = Session("UTC", "00:00", "24:00", days=EVERY_DAY)
"""Around the clock, every day."""

CME = Session(
    "America/Chicago",
    hours=(
        Hours("17:00", "15:15", until="2021-06-27"),
        Hours("15:30", "16:15", until="2015-09-20"),
        Hours("15:30", "16:00", since="2015-09-21", until="2021-06-27"),
        Hours("17:00", "16:00", since="2021-06-28"),
    ),
)
"""CME Globex equity index futures: Sunday 17:00 to Friday 16:00 in Chicago, closed from 16:00 to 17:00 every
day; the trading day is that of the close. Until 27 June 2021 with a halt from 15:15 to 15:30 (CME Globex notice
20210621), until 20 September 2015 to 16:15 (NinjaTrader advisory 25). Not of before 19 November 2012, when the
trading day ended at 15:15. For the hours of the stock market in New York, take `NYSE.only("regular")`.
"""

CBOT = Session(
    "America/Chicago",
    hours=(
        Hours("17:00", "14:00", kind="extended", until="2013-04-07"),
        Hours("19:00", "07:45", kind="extended", since="2013-04-08"),
        Hours("08:30", "13:15", since="2013-04-08", until="2015-07-05"),
        Hours("08:30", "13:20", since="2015-07-06"),
    ),
)
"""CBOT grains and oilseeds on CME Globex: "extended" from 19:00 of the evening before to 07:45, "regular" from
08:30 to 13:20 in Chicago. To 13:15 until 5 July 2015 (CME Group, extended trading in CBOT grains and oilseeds,
frequently asked questions); without a break, 17:00 to 14:00, until 7 April 2013 (CME Group, 5 March 2013). Not
of before 21 May 2012.
"""

COMEX = Session(
    "America/New_York",
    hours=(Hours("18:00", "17:15", until="2015-09-20"), Hours("18:00", "17:00", since="2015-09-21")),
)
"""Metals on CME Globex: Sunday 18:00 to Friday 17:00 in New York, closed from 17:00 to 18:00 every day (CME Group,
contract specifications); from 17:15 until 20 September 2015 (NinjaTrader advisory 25). Spot metals keep the
later hours mostly, of whatever year.
"""

NYMEX = COMEX
"""Energy on CME Globex: the hours of `COMEX`."""

EUREX = Session(
    "Europe/Berlin",
    hours=(
        Hours("00:10 UTC", "08:00", kind="extended", since="2018-12-10"),
        Hours("08:00", "22:00"),
    ),
)
"""Eurex, its most traded futures (FDAX, FESX, FGBL and their like): "regular" from 08:00 to 22:00 in Frankfurt,
and since 10 December 2018 "extended" from 01:10 in winter, 02:10 in summer (Eurex, trading hours of products;
Eurex initiative "trading hours extension"). Other products have shorter hours.
"""

LSE = Session(
    "Europe/London",
    hours=(
        Hours("07:50", "08:00", kind="auction"),
        Hours("08:00", "16:30"),
        Hours("16:30", "16:40", kind="auction"),
    ),
)
"""London Stock Exchange, SETS: "regular" from 08:00 to 16:30; "auction" from 07:50 to 08:00, and from 16:30 to
16:40 with the trading at the closing price that follows (London Stock Exchange, guide to the trading system).
"""

ASX = Session(
    "Australia/Sydney",
    hours=(
        Hours("09:59", "10:00", kind="auction"),
        Hours("10:00", "16:00"),
        Hours("16:00", "16:12", kind="auction"),
        Hours("16:12", "16:22", kind="post"),
    ),
)
"""ASX, the stock market: "regular" from 10:00 to 16:00 in Sydney; "auction" for the minute before and from 16:00
to the closing auction, and "post", trading at the closing price, until 16:22 (ASX market phases). The futures of
ASX 24 are not here: their night ends by the clock of the United States, in Sydney's time.
"""

NYSE = Session(
    "America/New_York",
    hours=(
        Hours("04:00", "09:30", kind="pre"),
        Hours("09:30", "16:00"),
        Hours("16:00", "20:00", kind="post"),
    ),
)
"""Stocks of the United States: "regular" from 09:30 to 16:00 in New York, "pre" from 04:00, "post" to 20:00 (NYSE
and Nasdaq, trading hours). Single venues open later and close earlier.
"""

NASDAQ = NYSE
"""The hours of `NYSE`."""

FX = Session("America/New_York", "17:00", "17:00")
"""Spot currencies, by the market's custom: Sunday 17:00 to Friday 17:00 in New York; a trading day ends at 17:00."""
