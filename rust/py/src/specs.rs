//! What `tickwire.Engine` is given, as the core wants it.

use std::str::FromStr;

use pyo3::prelude::*;
use tickwire_core::Spec;
use tickwire_core::bars::{Alignment, Empty, Kind, Late, Source, Split};
use tickwire_core::record::DepthKind;
use tickwire_core::validate::{Action, Rules};

use crate::calendar::Zone;
use crate::errors::{ConfigError, DataError};
use crate::sessions::Sessions;

/// `tickwire.Rules`, with times in ns.
#[derive(FromPyObject)]
pub(crate) struct RulesArg {
    grid: String,
    limits: String,
    band: String,
    spike: String,
    size: String,
    zero_size: String,
    outsize: String,
    skew: String,
    stale: String,
    backwards: String,
    crossed: String,
    locked: String,
    one_sided: String,
    duplicate: String,
    session: String,
    allow_negative: bool,
    price_low: Option<f64>,
    price_high: Option<f64>,
    band_width: f64,
    band_ticks: f64,
    band_agree: u32,
    band_age_ns: i64,
    spike_moves: f64,
    spike_ticks: u32,
    outsize_times: f64,
    skew_ns: i64,
    stale_ns: i64,
    stale_quote_ns: i64,
    backwards_ns: i64,
}

/// What bars are aligned to, where it is not UTC.
#[derive(FromPyObject)]
enum AlignArg {
    Local(Py<Zone>),
    Session(Py<Sessions>),
}

impl AlignArg {
    fn build(self) -> Alignment {
        match self {
            Self::Local(zone) => Alignment::Local(zone.get().core()),
            Self::Session(sessions) => Alignment::Session(sessions.get().core()),
        }
    }
}

/// What `tickwire.Engine` makes of a `tickwire.Instrument` and its own defaults.
#[derive(FromPyObject)]
pub(crate) struct SpecArg {
    symbol: String,
    tick_size: f64,
    sources: Vec<String>,
    align: Option<AlignArg>,
    hours: Option<Py<Sessions>>,
    lateness_ns: i64,
    late: String,
    horizon_ns: i64,
    empty: String,
    flat_limit: u32,
    split: String,
    restart: Option<Py<Sessions>>,
    stamp_arrival: bool,
    capacity: usize,
    book_levels: usize,
    rules: RulesArg,
}

impl SpecArg {
    pub(crate) fn build(self) -> PyResult<Spec> {
        let hours = self.hours.map(|hours| hours.get().core());
        Ok(Spec {
            symbol: self.symbol,
            tick_size: self.tick_size,
            rules: self.rules.build()?,
            sources: self.sources.iter().map(|text| source(text)).collect::<PyResult<_>>()?,
            alignment: self.align.map_or(Alignment::Utc, AlignArg::build),
            hours: hours.clone(),
            lateness_ns: self.lateness_ns,
            late: match self.late.as_str() {
                "reject" => Late::Reject,
                "revise" => Late::Revise { horizon_ns: self.horizon_ns },
                text => return Err(unknown("late", text, "\"reject\" or \"revise\"")),
            },
            empty: match self.empty.as_str() {
                "skip" => Empty::Skip,
                "flat" => Empty::Flat { limit: self.flat_limit, hours },
                text => return Err(unknown("empty", text, "\"skip\" or \"flat\"")),
            },
            split: split(&self.split)?,
            restart: self.restart.map(|sessions| sessions.get().core()),
            stamp_arrival: self.stamp_arrival,
            capacity: self.capacity,
            book_levels: self.book_levels,
        })
    }
}

impl RulesArg {
    pub(crate) fn build(self) -> PyResult<Rules> {
        Ok(Rules {
            grid: action("grid", &self.grid)?,
            limits: action("limits", &self.limits)?,
            band: action("band", &self.band)?,
            spike: action("spike", &self.spike)?,
            size: action("size", &self.size)?,
            zero_size: action("zero_size", &self.zero_size)?,
            outsize: action("outsize", &self.outsize)?,
            skew: action("skew", &self.skew)?,
            stale: action("stale", &self.stale)?,
            backwards: action("backwards", &self.backwards)?,
            crossed: action("crossed", &self.crossed)?,
            locked: action("locked", &self.locked)?,
            one_sided: action("one_sided", &self.one_sided)?,
            duplicate: action("duplicate", &self.duplicate)?,
            session: action("session", &self.session)?,
            allow_negative: self.allow_negative,
            price_low: self.price_low.unwrap_or(f64::NEG_INFINITY),
            price_high: self.price_high.unwrap_or(f64::INFINITY),
            band_width: self.band_width,
            band_ticks: self.band_ticks,
            band_agree: self.band_agree,
            band_age_ns: self.band_age_ns,
            spike_moves: self.spike_moves,
            spike_ticks: self.spike_ticks,
            outsize_times: self.outsize_times,
            skew_ns: self.skew_ns,
            stale_ns: self.stale_ns,
            stale_quote_ns: self.stale_quote_ns,
            backwards_ns: self.backwards_ns,
        })
    }
}

fn action(name: &str, text: &str) -> PyResult<Action> {
    match text {
        "reject" => Ok(Action::Reject),
        "flag" => Ok(Action::Flag),
        "off" => Ok(Action::Off),
        _ => Err(unknown(name, text, "\"reject\", \"flag\" or \"off\"")),
    }
}

fn unknown(name: &str, text: &str, expected: &str) -> PyErr {
    ConfigError::new_err(format!("{name}: got {text:?}, expected {expected}"))
}

/// The source of this name.
pub(crate) fn source(text: &str) -> PyResult<Source> {
    Source::from_str(text).map_err(|error| ConfigError::new_err(error.to_string()))
}

/// The kind of bars of this name, whether an engine has it or not.
pub(crate) fn kind(text: &str) -> PyResult<Kind> {
    Kind::from_str(text).map_err(|error| ConfigError::new_err(error.to_string()))
}

/// The name of a kind of bars, of all its spellings the one that readers are shown.
#[pyfunction]
pub(crate) fn timeframe_name(text: &str) -> PyResult<String> {
    kind(text).map(|kind| kind.to_string())
}

pub(crate) fn split(text: &str) -> PyResult<Split> {
    match text {
        "keep" => Ok(Split::Keep),
        "split" => Ok(Split::Split),
        _ => Err(ConfigError::new_err(format!(
            "split: got {text:?}, expected \"keep\" or \"split\""
        ))),
    }
}

/// The kind of a depth delta of this name.
pub(crate) fn depth_kind(text: &str) -> PyResult<DepthKind> {
    match text {
        "bid" => Ok(DepthKind::Bid),
        "ask" => Ok(DepthKind::Ask),
        "best_bid" => Ok(DepthKind::BestBid),
        "best_ask" => Ok(DepthKind::BestAsk),
        "reset" => Ok(DepthKind::Reset),
        _ => Err(DataError::new_err(format!(
            "kind: got {text:?}, expected \"bid\", \"ask\", \"best_bid\", \"best_ask\" or \"reset\""
        ))),
    }
}
