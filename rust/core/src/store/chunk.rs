//! Columns of bars: being gathered ([`Columns`]), and immutable in Arrow form ([`Chunk`]).

use crate::bars::{Bar, Buckets};
use arrow_array::{
    Array, ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, TimestampNanosecondArray,
};
use arrow_buffer::{BooleanBuffer, NullBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef, TimeUnit};
use std::ops::Range;
use std::sync::{Arc, LazyLock};

/// The columns of a frame of time bars.
static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| Arc::new(Schema::new(fields())));

/// The columns of a frame of bars whose ends do not follow from their labels.
static SCHEMA_WITH_ENDS: LazyLock<SchemaRef> = LazyLock::new(|| {
    let mut fields = fields();
    fields.push(time("ts_end"));
    Arc::new(Schema::new(fields))
});

fn time(name: &str) -> Field {
    Field::new(name, DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())), false)
}

fn fields() -> Vec<Field> {
    let number = |name| Field::new(name, DataType::Float64, false);
    vec![
        time("ts"),
        number("open"),
        number("high"),
        number("low"),
        number("close"),
        number("volume"),
        // Null where there was no volume.
        Field::new("vwap", DataType::Float64, true),
        Field::new("trades", DataType::Int64, false),
        Field::new("complete", DataType::Boolean, false),
    ]
}

/// Bars being gathered, column by column.
#[derive(Debug, Default)]
pub(crate) struct Columns {
    pub(crate) ts: Vec<i64>,
    /// The ends of the bars, where they do not follow from their labels.
    pub(crate) ends: Option<Vec<i64>>,
    pub(crate) open: Vec<f64>,
    pub(crate) high: Vec<f64>,
    pub(crate) low: Vec<f64>,
    pub(crate) close: Vec<f64>,
    pub(crate) volume: Vec<f64>,
    pub(crate) vwap: Vec<f64>,
    pub(crate) trades: Vec<i64>,
    pub(crate) complete: Vec<bool>,
    pub(crate) revision: Vec<u32>,
}

impl Columns {
    /// Columns for bars of these buckets, or of another kind.
    pub(crate) fn of(buckets: Option<&Buckets>) -> Self {
        Self { ends: buckets.is_none().then(Vec::new), ..Self::default() }
    }

    pub(crate) fn with_capacity(rows: usize, buckets: Option<&Buckets>) -> Self {
        let mut columns = Self::of(buckets);
        columns.ts.reserve_exact(rows);
        if let Some(ends) = &mut columns.ends {
            ends.reserve_exact(rows);
        }
        for values in columns.prices_mut() {
            values.reserve_exact(rows);
        }
        columns.trades.reserve_exact(rows);
        columns.complete.reserve_exact(rows);
        columns.revision.reserve_exact(rows);
        columns
    }

    pub(crate) fn prices_mut(&mut self) -> [&mut Vec<f64>; 6] {
        [
            &mut self.open,
            &mut self.high,
            &mut self.low,
            &mut self.close,
            &mut self.volume,
            &mut self.vwap,
        ]
    }

    pub(crate) fn len(&self) -> usize {
        self.ts.len()
    }

    pub(crate) fn push(&mut self, bar: &Bar) {
        self.ts.push(bar.ts);
        if let Some(ends) = &mut self.ends {
            ends.push(bar.ts_end);
        }
        let prices = [bar.open, bar.high, bar.low, bar.close, bar.volume, bar.vwap];
        for (values, price) in self.prices_mut().into_iter().zip(prices) {
            values.push(price);
        }
        self.trades.push(bar.trades as i64);
        self.complete.push(bar.complete);
        self.revision.push(bar.revision);
    }

    /// The row as a bar of these buckets, or of another kind.
    pub(crate) fn bar(&self, row: usize, buckets: Option<&Buckets>) -> Bar {
        let ts = self.ts[row];
        let end = || buckets.map(|buckets| buckets.bucket(ts).1);
        Bar {
            ts,
            ts_end: self.ends.as_ref().map(|ends| ends[row]).or_else(end).unwrap_or(ts),
            open: self.open[row],
            high: self.high[row],
            low: self.low[row],
            close: self.close[row],
            volume: self.volume[row],
            vwap: self.vwap[row],
            trades: self.trades[row] as u64,
            complete: self.complete[row],
            revision: self.revision[row],
        }
    }

    pub(crate) fn into_chunk(self) -> Result<Chunk, ArrowError> {
        let revision = self.revision.iter().any(|&revision| revision != 0).then_some(self.revision);
        // Without volume there is no average price; NaN would poison the user's arithmetic.
        let known: BooleanBuffer = self.vwap.iter().map(|vwap| !vwap.is_nan()).collect();
        let nulls = Some(NullBuffer::new(known)).filter(|nulls| nulls.null_count() > 0);
        let number = |values: Vec<f64>| -> ArrayRef { Arc::new(Float64Array::from(values)) };
        let time = |values: Vec<i64>| -> ArrayRef {
            Arc::new(TimestampNanosecondArray::from(values).with_timezone("UTC"))
        };
        let schema = if self.ends.is_some() { &SCHEMA_WITH_ENDS } else { &SCHEMA };
        let mut columns: Vec<ArrayRef> = vec![
            time(self.ts),
            number(self.open),
            number(self.high),
            number(self.low),
            number(self.close),
            number(self.volume),
            Arc::new(Float64Array::new(ScalarBuffer::from(self.vwap), nulls)),
            Arc::new(Int64Array::from(self.trades)),
            Arc::new(BooleanArray::from(self.complete)),
        ];
        columns.extend(self.ends.map(time));
        Ok(Chunk { batch: RecordBatch::try_new(Arc::clone(schema), columns)?, revision })
    }
}

/// Immutable bars, shared with every frame that shows them.
#[derive(Debug)]
pub(crate) struct Chunk {
    pub(crate) batch: RecordBatch,
    /// Absent where no bar was ever revised.
    revision: Option<Vec<u32>>,
}

impl Chunk {
    pub(crate) fn len(&self) -> usize {
        self.batch.num_rows()
    }

    pub(crate) fn bytes(&self) -> usize {
        let revision =
            self.revision.as_ref().map_or(0, |revision| revision.len() * size_of::<u32>());
        self.batch.get_array_memory_size() + revision
    }

    pub(crate) fn ts(&self) -> &[i64] {
        self.times(0)
    }

    fn times(&self, column: usize) -> &[i64] {
        self.batch
            .column(column)
            .as_any()
            .downcast_ref::<TimestampNanosecondArray>()
            .map_or(&[], |array| array.values())
    }

    /// Copies rows to the end of `out`.
    pub(crate) fn copy_to(&self, rows: Range<usize>, out: &mut Columns) {
        let numbers =
            |column: usize| self.batch.column(column).as_any().downcast_ref::<Float64Array>();
        out.ts.extend_from_slice(&self.ts()[rows.clone()]);
        if let Some(ends) = &mut out.ends {
            ends.extend_from_slice(&self.times(9)[rows.clone()]);
        }
        for (index, values) in out.prices_mut().into_iter().enumerate() {
            // The null slots of vwap still hold their NaN.
            values.extend_from_slice(
                numbers(1 + index).map_or(&[], |array| &array.values()[rows.clone()]),
            );
        }
        if let Some(array) = self.batch.column(7).as_any().downcast_ref::<Int64Array>() {
            out.trades.extend_from_slice(&array.values()[rows.clone()]);
        }
        if let Some(array) = self.batch.column(8).as_any().downcast_ref::<BooleanArray>() {
            out.complete.extend(rows.clone().map(|row| array.value(row)));
        }
        match &self.revision {
            Some(revision) => out.revision.extend_from_slice(&revision[rows]),
            None => out.revision.resize(out.ts.len(), 0),
        }
    }
}
