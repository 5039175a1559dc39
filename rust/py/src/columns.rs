//! Columns of a batch as NumPy has them: one contiguous run each, all of the same length.

use numpy::{Element, PyReadonlyArray1, PyUntypedArrayMethods};
use pyo3::prelude::*;
use tickwire_core::bars::Bar;
use tickwire_core::engine::{Engine, Session};
use tickwire_core::reason::Reason;
use tickwire_core::record::{InstrumentId, NO_TIME, Quote};

use crate::errors::DataError;

/// The number of rows that every column must have: that of the column named first.
#[derive(Clone, Copy)]
pub(crate) struct Rows {
    pub(crate) name: &'static str,
    pub(crate) count: usize,
}

impl Rows {
    pub(crate) fn column<'a, T: Element>(
        self,
        name: &str,
        array: &'a PyReadonlyArray1<'_, T>,
    ) -> PyResult<&'a [T]> {
        if array.len() != self.count {
            return Err(DataError::new_err(format!(
                "{name}: got {} rows, expected {} as in {}",
                array.len(),
                self.count,
                self.name
            )));
        }
        array
            .as_slice()
            .map_err(|_| DataError::new_err(format!("{name}: expected a contiguous array")))
    }

    pub(crate) fn optional<'a, T: Element>(
        self,
        name: &str,
        array: Option<&'a PyReadonlyArray1<'_, T>>,
    ) -> PyResult<Option<&'a [T]>> {
        array.map(|array| self.column(name, array)).transpose()
    }
}

/// Which instrument each row is of.
pub(crate) struct Instruments<'a> {
    ids: Vec<Option<InstrumentId>>,
    codes: Option<&'a [u32]>,
}

impl<'a> Instruments<'a> {
    /// `symbols[codes[row]]`; without codes, all rows are of the first.
    pub(crate) fn new(core: &Engine, symbols: &[String], codes: Option<&'a [u32]>) -> Self {
        Self { ids: symbols.iter().map(|symbol| core.find(symbol)).collect(), codes }
    }

    /// The instrument of all rows, if they are known to be of one.
    pub(crate) fn only(&self) -> Option<InstrumentId> {
        match (self.codes, self.ids.as_slice()) {
            (None, [id]) => *id,
            _ => None,
        }
    }

    /// Pushes the rows in order; those of unknown instruments are refused.
    pub(crate) fn each(
        &self,
        session: &mut Session<'_>,
        rows: Rows,
        push: impl Fn(&mut Session<'_>, InstrumentId, usize) -> Result<(), Reason>,
    ) {
        for row in 0..rows.count {
            match self.ids[self.codes.map_or(0, |codes| codes[row] as usize)] {
                // The session counts what is rejected.
                Some(id) => drop(push(session, id, row)),
                None => session.refuse(None, Reason::UnknownInstrument),
            }
        }
    }
}

/// Quotes of any instruments. A price or size that is absent is NaN.
pub(crate) struct QuoteColumns<'a> {
    pub(crate) ts_event: &'a [i64],
    pub(crate) ts_recv: Option<&'a [i64]>,
    pub(crate) bid: &'a [f64],
    pub(crate) ask: &'a [f64],
    pub(crate) bid_size: Option<&'a [f64]>,
    pub(crate) ask_size: Option<&'a [f64]>,
    pub(crate) last: Option<&'a [f64]>,
}

impl QuoteColumns<'_> {
    pub(crate) fn row(&self, row: usize) -> Quote {
        let number = |column: Option<&[f64]>| column.map_or(f64::NAN, |column| column[row]);
        Quote {
            ts_event: self.ts_event[row],
            ts_recv: self.ts_recv.map_or(NO_TIME, |column| column[row]),
            bid: self.bid[row],
            ask: self.ask[row],
            bid_size: number(self.bid_size),
            ask_size: number(self.ask_size),
            last: number(self.last),
        }
    }
}

/// Ready bars of one series.
pub(crate) struct BarColumns<'a> {
    pub(crate) ts: &'a [i64],
    pub(crate) open: &'a [f64],
    pub(crate) high: &'a [f64],
    pub(crate) low: &'a [f64],
    pub(crate) close: &'a [f64],
    pub(crate) volume: &'a [f64],
    pub(crate) vwap: &'a [f64],
    pub(crate) trades: &'a [i64],
}

impl BarColumns<'_> {
    /// The bars. Their ends are the core's to know.
    pub(crate) fn bars(&self) -> Vec<Bar> {
        let bar = |row: usize| Bar {
            ts: self.ts[row],
            ts_end: self.ts[row],
            open: self.open[row],
            high: self.high[row],
            low: self.low[row],
            close: self.close[row],
            volume: self.volume[row],
            vwap: self.vwap[row],
            trades: self.trades[row].max(0) as u64,
            complete: true,
            revision: 0,
        };
        (0..self.ts.len()).map(bar).collect()
    }
}
