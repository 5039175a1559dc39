//! Kinds of bars, as users write them: lengths of time, and amounts that ticks add up to.
//!
//! One length has one name. Whole numbers are written as they are; an amount has many spellings
//! (`1e6n`, `1000000n`), of which the one without an exponent is the name, and all are understood.

use super::timeframe::Timeframe;
use std::fmt;
use std::str::FromStr;

/// Most trades of a bar.
const MOST_TRADES: u32 = 1_000_000_000;
/// Most ticks of a range or a brick.
const MOST_TICKS: u32 = 1_000_000;
/// Smallest and largest amount of volume or notional.
const AMOUNTS: (f64, f64) = (1e-9, 1e15);

/// What the bars of a series are cut by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Time.
    Time(Timeframe),
    /// What the ticks in them amount to.
    Measured(Measure),
}

/// What the ticks of a bar amount to when it is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Measure {
    /// So many ticks.
    Trades(u32),
    /// Sizes that add up to so much.
    Volume(Amount),
    /// Prices times sizes that add up to so much.
    Notional(Amount),
    /// High and low so many tick sizes apart.
    Range(u32),
    /// Bricks of so many tick sizes.
    Renko(u32),
}

/// A finite number above zero.
#[derive(Clone, Copy, Debug)]
pub struct Amount(f64);

/// Text that is no kind of bar.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "got timeframe {0:?}, expected a length of time (a whole number from 1 to 100000 and s, m, h, d, w or \
     mo: \"1s\", \"5m\", \"1mo\"), or \"100t\" trades, \"5000v\" volume, \"1e6n\" notional, \"8r\" range in \
     ticks, \"8renko\" bricks of ticks (whole numbers for t, r and renko; numbers from 1e-9 to 1e15 for v \
     and n)"
)]
pub struct KindError(String);

impl Amount {
    /// The number.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }

    /// Digits, perhaps a point and more digits, perhaps an exponent without a sign.
    fn parse(text: &str) -> Option<Self> {
        let digits =
            |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
        let number: f64 =
            [whole, fraction, exponent].into_iter().all(digits).then(|| text.parse().ok())??;
        (AMOUNTS.0..=AMOUNTS.1).contains(&number).then_some(Self(number))
    }
}

// Never NaN and never a zero with a sign, so that equal numbers have equal bits.
impl PartialEq for Amount {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}

impl Eq for Amount {}

impl std::hash::Hash for Amount {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}

impl FromStr for Kind {
    type Err = KindError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unit = text.rfind(|c: char| !c.is_ascii_lowercase()).map_or(0, |at| at + 1);
        // What precedes the unit ends with one whole character.
        let (number, unit) = text.split_at_checked(unit).unwrap_or((text, ""));
        let amount = || Amount::parse(number);
        let measure = match unit {
            "t" => whole(number, MOST_TRADES).map(Measure::Trades),
            "v" => amount().map(Measure::Volume),
            "n" => amount().map(Measure::Notional),
            "r" => whole(number, MOST_TICKS).map(Measure::Range),
            "renko" => whole(number, MOST_TICKS).map(Measure::Renko),
            _ => None,
        };
        let time = || Timeframe::of(number, unit).map(Self::Time);
        let kind = measure.map(Self::Measured).or_else(time);
        kind.ok_or_else(|| KindError(text.to_owned()))
    }
}

/// A whole number from 1 to `most`, written in the one way.
pub(super) fn whole(text: &str, most: u32) -> Option<u32> {
    // A leading zero would give one length two names, and `parse` understands a sign.
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    let number = plain.then(|| text.parse().ok())??;
    (number <= most).then_some(number)
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time(timeframe) => timeframe.fmt(f),
            Self::Measured(measure) => measure.fmt(f),
        }
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Trades(count) => write!(f, "{count}t"),
            // The shortest decimal that is read back as the same number; never an exponent.
            Self::Volume(amount) => write!(f, "{}v", amount.0),
            Self::Notional(amount) => write!(f, "{}n", amount.0),
            Self::Range(ticks) => write!(f, "{ticks}r"),
            Self::Renko(ticks) => write!(f, "{ticks}renko"),
        }
    }
}

impl From<Timeframe> for Kind {
    fn from(timeframe: Timeframe) -> Self {
        Self::Time(timeframe)
    }
}

impl Kind {
    /// The length of time, if it is one.
    #[must_use]
    pub fn timeframe(self) -> Option<Timeframe> {
        match self {
            Self::Time(timeframe) => Some(timeframe),
            Self::Measured(_) => None,
        }
    }

    /// Whether the ticks must have sizes.
    #[must_use]
    pub fn needs_sizes(self) -> bool {
        matches!(self, Self::Measured(Measure::Volume(_) | Measure::Notional(_)))
    }

    /// Whether prices are counted in ticks.
    #[must_use]
    pub fn needs_tick_size(self) -> bool {
        matches!(self, Self::Measured(Measure::Range(_) | Measure::Renko(_)))
    }

    /// Kinds in order, each once.
    pub(crate) fn sorted(kinds: impl Iterator<Item = Self>) -> Vec<Self> {
        let mut kinds: Vec<Self> = kinds.collect();
        kinds.sort_by_key(|kind| kind.order());
        kinds.dedup();
        kinds
    }

    /// Sorts lengths of time before everything else, and each kind by its length.
    pub(crate) fn order(self) -> (u8, u64) {
        match self {
            Self::Time(timeframe) => (0, timeframe.nominal_ns() as u64),
            Self::Measured(Measure::Trades(count)) => (1, u64::from(count)),
            // The bits of positive numbers sort as the numbers do.
            Self::Measured(Measure::Volume(amount)) => (2, amount.0.to_bits()),
            Self::Measured(Measure::Notional(amount)) => (3, amount.0.to_bits()),
            Self::Measured(Measure::Range(ticks)) => (4, u64::from(ticks)),
            Self::Measured(Measure::Renko(ticks)) => (5, u64::from(ticks)),
        }
    }
}
