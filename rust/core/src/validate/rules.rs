//! What an instrument's ticks must obey, and what becomes of one that does not.

/// What to do with a tick that breaks a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Refuse the tick and count it.
    Reject,
    /// Keep the tick and count it.
    Flag,
    /// Do not check.
    Off,
}

/// The rules of one instrument.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// Prices are multiples of the tick size.
    pub grid: Action,
    /// Prices lie between `price_low` and `price_high`.
    pub limits: Action,
    /// Prices lie within a band around the last accepted one.
    pub band: Action,
    /// Prices do not jump away and come back at once. Found out when they are back, so that the tick
    /// can only be flagged: `Reject` does the same as `Flag`.
    pub spike: Action,
    /// Sizes are finite and not negative. (NaN is "absent" in quotes, and an error in trades.)
    pub size: Action,
    /// Trades have a size above zero.
    pub zero_size: Action,
    /// Sizes of trades are not many times the usual one.
    pub outsize: Action,
    /// Event times are not ahead of arrival times.
    pub skew: Action,
    /// Event times are not far behind arrival times.
    pub stale: Action,
    /// Event times do not step back.
    pub backwards: Action,
    /// Bids are not above asks.
    pub crossed: Action,
    /// Bids are not equal to asks.
    pub locked: Action,
    /// Quotes have a bid and an ask.
    pub one_sided: Action,
    /// A tick is not in every field like the accepted one before it.
    pub duplicate: Action,
    /// Event times lie in the trading hours of the instrument.
    pub session: Action,
    /// Whether prices of zero and less are legal.
    pub allow_negative: bool,
    /// The least price of `limits`; minus infinity for none.
    pub price_low: f64,
    /// The largest price of `limits`; infinity for none.
    pub price_high: f64,
    /// Half width of the band, as a fraction of the last accepted price.
    pub band_width: f64,
    /// Least half width of the band, in ticks: prices near zero need room, too.
    pub band_ticks: f64,
    /// So many successive off-band ticks that agree with each other move the band; so many in a row
    /// that are behind the newest event time are what time it is.
    pub band_agree: u32,
    /// A band older than this (event time, ns) is not held against a tick.
    pub band_age_ns: i64,
    /// A jump is so many times the usual move …
    pub spike_moves: f64,
    /// … and a spike if the price is back after at most so many ticks.
    pub spike_ticks: u32,
    /// How many times the usual size is too much.
    pub outsize_times: f64,
    /// How far event time may be ahead of arrival time, ns.
    pub skew_ns: i64,
    /// How far a trade's event time may be behind its arrival time, ns.
    pub stale_ns: i64,
    /// The same of a quote.
    pub stale_quote_ns: i64,
    /// How far event time may step back behind the newest one, ns.
    pub backwards_ns: i64,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            grid: Action::Flag,
            limits: Action::Reject,
            band: Action::Reject,
            spike: Action::Off,
            size: Action::Reject,
            zero_size: Action::Off,
            outsize: Action::Off,
            skew: Action::Reject,
            stale: Action::Off,
            backwards: Action::Off,
            crossed: Action::Flag,
            locked: Action::Off,
            one_sided: Action::Off,
            duplicate: Action::Off,
            session: Action::Off,
            allow_negative: false,
            price_low: f64::NEG_INFINITY,
            price_high: f64::INFINITY,
            band_width: 0.1,
            band_ticks: 200.0,
            band_agree: 3,
            band_age_ns: 60_000_000_000,
            spike_moves: 20.0,
            spike_ticks: 3,
            outsize_times: 1_000.0,
            skew_ns: 5_000_000_000,
            stale_ns: 10_000_000_000,
            stale_quote_ns: 10_000_000_000,
            backwards_ns: 1_000_000_000,
        }
    }
}
