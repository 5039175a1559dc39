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
    /// Prices lie within a band around the last accepted one.
    pub band: Action,
    /// Sizes are finite and not negative. (NaN is "absent" in quotes, and an error in trades.)
    pub size: Action,
    /// Event times are not ahead of arrival times.
    pub skew: Action,
    /// Bids are not above asks.
    pub crossed: Action,
    /// Whether prices of zero and less are legal.
    pub allow_negative: bool,
    /// Half width of the band, as a fraction of the last accepted price.
    pub band_width: f64,
    /// Least half width of the band, in ticks: prices near zero need room, too.
    pub band_ticks: f64,
    /// So many successive off-band ticks that agree with each other move the band.
    pub band_agree: u32,
    /// A band older than this (event time, ns) is not held against a tick.
    pub band_age_ns: i64,
    /// How far event time may be ahead of arrival time, ns.
    pub skew_ns: i64,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            grid: Action::Flag,
            band: Action::Reject,
            size: Action::Reject,
            skew: Action::Reject,
            crossed: Action::Flag,
            allow_negative: false,
            band_width: 0.1,
            band_ticks: 200.0,
            band_agree: 3,
            band_age_ns: 60_000_000_000,
            skew_ns: 5_000_000_000,
        }
    }
}
