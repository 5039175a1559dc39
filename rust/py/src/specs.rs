//! What `tickwire.Engine` is given, as the core wants it.

use std::str::FromStr;

use pyo3::prelude::*;
use tickwire_core::Spec;
use tickwire_core::bars::{Source, Timeframe};
use tickwire_core::record::DepthKind;
use tickwire_core::validate::{Action, Rules};

use crate::errors::{ConfigError, DataError};

/// `tickwire.Rules`, with times in ns.
#[derive(FromPyObject)]
struct RulesArg {
    grid: String,
    band: String,
    size: String,
    skew: String,
    crossed: String,
    allow_negative: bool,
    band_width: f64,
    band_ticks: f64,
    band_agree: u32,
    band_age_ns: i64,
    skew_ns: i64,
}

/// What `tickwire.Engine` makes of a `tickwire.Instrument` and its own defaults.
#[derive(FromPyObject)]
pub(crate) struct SpecArg {
    symbol: String,
    tick_size: f64,
    sources: Vec<String>,
    lateness_ns: i64,
    stamp_arrival: bool,
    capacity: usize,
    book_levels: usize,
    rules: RulesArg,
}

impl SpecArg {
    pub(crate) fn build(self) -> PyResult<Spec> {
        Ok(Spec {
            symbol: self.symbol,
            tick_size: self.tick_size,
            rules: self.rules.build()?,
            sources: self.sources.iter().map(|text| source(text)).collect::<PyResult<_>>()?,
            lateness_ns: self.lateness_ns,
            stamp_arrival: self.stamp_arrival,
            capacity: self.capacity,
            book_levels: self.book_levels,
        })
    }
}

impl RulesArg {
    fn build(self) -> PyResult<Rules> {
        Ok(Rules {
            grid: action("grid", &self.grid)?,
            band: action("band", &self.band)?,
            size: action("size", &self.size)?,
            skew: action("skew", &self.skew)?,
            crossed: action("crossed", &self.crossed)?,
            allow_negative: self.allow_negative,
            band_width: self.band_width,
            band_ticks: self.band_ticks,
            band_agree: self.band_agree,
            band_age_ns: self.band_age_ns,
            skew_ns: self.skew_ns,
        })
    }
}

fn action(name: &str, text: &str) -> PyResult<Action> {
    match text {
        "reject" => Ok(Action::Reject),
        "flag" => Ok(Action::Flag),
        "off" => Ok(Action::Off),
        _ => Err(ConfigError::new_err(format!(
            "{name}: got {text:?}, expected \"reject\", \"flag\" or \"off\""
        ))),
    }
}

/// The source of this name.
pub(crate) fn source(text: &str) -> PyResult<Source> {
    Source::from_str(text).map_err(|error| ConfigError::new_err(error.to_string()))
}

/// The timeframe of this name, whether an engine has it or not.
pub(crate) fn timeframe(text: &str) -> PyResult<Timeframe> {
    Timeframe::from_str(text).map_err(|error| ConfigError::new_err(error.to_string()))
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
