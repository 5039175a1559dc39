//! Closed bars changed one by one, as late ticks change them.
//!
//! Only the parts that hold the changed bars are copied, and the newest of them are short, since
//! readers leave those alone when they copy small parts together: see
//! [`Series::compacted`](super::Series::compacted).

use super::chunk::Columns;
use super::series::{Part, Series};
use super::tail::Tail;
use crate::bars::Bar;
use std::sync::Arc;

/// Rows that are looked through at a time.
const BLOCK: usize = 256;

impl Series {
    /// The same series with bars (ascending, distinct) put in, in place of those of equal label.
    pub(crate) fn revised(&self, bars: &[Bar]) -> Self {
        let mut rest = bars;
        let mut parts = self.parts.to_vec();
        for part in &mut parts {
            let newest = part.newest();
            let (own, newer) = rest.split_at(rest.partition_point(|bar| bar.ts <= newest));
            if !own.is_empty() {
                *part = Part::Sealed(Arc::new(self.tail_of(part).with_bars(own)));
            }
            rest = newer;
        }
        let tail = if rest.is_empty() {
            Arc::clone(&self.tail)
        } else {
            Arc::new(self.tail.with_bars(rest))
        };
        Self { parts: parts.into(), tail, ..self.clone() }
    }

    /// The rows of a part in a form that bars can be put into.
    fn tail_of(&self, part: &Part) -> Arc<Tail> {
        if let Part::Sealed(tail) = part {
            return Arc::clone(tail);
        }
        let mut columns = Columns::with_capacity(part.len(), self.buckets.as_ref());
        part.copy_to(0..part.len(), &mut columns);
        let tail = self.tail.like(columns.len());
        (0..columns.len()).for_each(|row| tail.push(&columns.bar(row, self.buckets.as_ref())));
        Arc::new(tail)
    }

    /// Whether any bar with `from <= ts < to` is as asked for. For the writer.
    pub(crate) fn any(&self, from: i64, to: i64, asked: impl Fn(&Bar) -> bool) -> bool {
        let (mut row, end) = (self.rows_before(from), self.rows_before(to));
        while row < end {
            let stop = end.min(row + BLOCK);
            let mut columns = Columns::with_capacity(stop - row, self.buckets.as_ref());
            self.copy_rows(row..stop, &mut columns);
            if (0..columns.len()).any(|row| asked(&columns.bar(row, self.buckets.as_ref()))) {
                return true;
            }
            row = stop;
        }
        false
    }
}
