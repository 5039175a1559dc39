//! Columns of a batch as NumPy has them: one contiguous run each, all of the same length.

use numpy::{Element, PyArray1, PyReadonlyArray1, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::types::PyInt;
use tickwire_core::bars::Bar;
use tickwire_core::engine::{Engine, Session};
use tickwire_core::reason::Reason;
use tickwire_core::record::{InstrumentId, NO_TIME, Quote};

use crate::errors::DataError;

/// Times as a caller gives them, in ns.
pub(crate) enum Times<'py> {
    One(i64),
    Column(PyReadonlyArray1<'py, i64>),
}

impl<'py> Times<'py> {
    /// An int, or anything that NumPy makes a column of times of.
    #[inline]
    pub(crate) fn of(name: &str, value: &Bound<'py, PyAny>) -> PyResult<Self> {
        if value.is_instance_of::<PyInt>() {
            return Ok(Self::One(value.extract()?));
        }
        let column = value.py().import("tickwire.units")?.getattr("int_column")?;
        Ok(Self::Column(column.call1((name, value))?.extract()?))
    }

    /// The same of each: an int, or a column.
    #[inline]
    pub(crate) fn map(
        self,
        py: Python<'py>,
        each: impl Fn(i64) -> i64 + Sync + Send,
    ) -> PyResult<Bound<'py, PyAny>> {
        match self {
            Self::One(ts) => Ok(each(ts).into_pyobject(py)?.into_any()),
            Self::Column(column) => {
                let column = column.as_slice()?;
                let values = py.detach(|| column.iter().map(|&ts| each(ts)).collect());
                Ok(PyArray1::from_vec(py, values).into_any())
            }
        }
    }

    /// The same, or the first time that has no answer.
    pub(crate) fn try_map(
        self,
        py: Python<'py>,
        each: impl Fn(i64) -> Option<i64> + Sync + Send,
    ) -> PyResult<Result<Bound<'py, PyAny>, i64>> {
        match self {
            Self::One(ts) => match each(ts) {
                Some(value) => Ok(Ok(value.into_pyobject(py)?.into_any())),
                None => Ok(Err(ts)),
            },
            Self::Column(column) => {
                let column = column.as_slice()?;
                let each = |&ts: &i64| each(ts).ok_or(ts);
                let values: Result<Vec<_>, _> = py.detach(|| column.iter().map(each).collect());
                Ok(values.map(|values| PyArray1::from_vec(py, values).into_any()))
            }
        }
    }
}

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

/// What the feed itself has numbered the rows with, if it has.
#[derive(Clone, Copy)]
pub(crate) struct Numbers<'a>(pub(crate) Option<&'a [i64]>);

impl Numbers<'_> {
    /// The number of a row. The least integer stands for none.
    pub(crate) fn of(self, row: usize) -> Option<i64> {
        self.0.map(|numbers| numbers[row]).filter(|&number| number != i64::MIN)
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
