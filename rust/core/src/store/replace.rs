//! Bars of a series that are put in or superseded: the parts that hold them are made anew.

use super::chunk::Columns;
use super::series::{Part, Series, largest_part};
use crate::bars::{Bar, Buckets};
use arrow_schema::ArrowError;
use std::sync::Arc;

impl Series {
    /// The same series with bars (ascending, distinct) put in, in place of those of equal label, in
    /// parts small enough for `retain`; none is dropped. Costs in proportion to the parts between the
    /// first and the last of them.
    pub(crate) fn with_bars(&self, bars: &[Bar], retain: usize) -> Result<Self, ArrowError> {
        let (Some(first), Some(last)) = (bars.first(), bars.last()) else {
            return Ok(self.clone());
        };
        let holding = |ts: i64| {
            self.parts.iter().take_while(|part| part.rows_before(ts) == part.len()).count()
        };
        self.rebuilt(holding(first.ts), holding(last.ts), |old| {
            merge(old, bars, self.buckets.as_ref(), largest_part(retain))
        })
    }

    /// The same series with bars in place of those from row `first` on.
    pub(crate) fn with_rows(
        &self,
        first: usize,
        bars: &[Bar],
        retain: usize,
    ) -> Result<Self, ArrowError> {
        if bars.is_empty() {
            return Ok(self.clone());
        }
        let (begin, offset) = self.part_of(first);
        let (last, _) = self.part_of(first + bars.len() - 1);
        self.rebuilt(begin, last, |old| {
            let new = |row: usize| (offset + row).checked_sub(first).and_then(|row| bars.get(row));
            let rows = (0..old.len()).map(|row| {
                new(row).copied().unwrap_or_else(|| old.bar(row, self.buckets.as_ref()))
            });
            let mut pieces = Pieces::new(old.len(), self.buckets.as_ref(), largest_part(retain));
            rows.for_each(|bar| pieces.push(&bar));
            pieces.done
        })
    }

    /// The part that a row is in, one beyond the last for the tail; and the number of rows before it.
    fn part_of(&self, row: usize) -> (usize, usize) {
        let mut offset = 0;
        for (index, part) in self.parts.iter().enumerate() {
            if row < offset + part.len() {
                return (index, offset);
            }
            offset += part.len();
        }
        (self.parts.len(), offset)
    }

    /// The same series with the rows of parts `first` to `last` (one beyond the last part means the
    /// tail, too) made anew.
    fn rebuilt(
        &self,
        first: usize,
        last: usize,
        make: impl FnOnce(&Columns) -> Vec<Columns>,
    ) -> Result<Self, ArrowError> {
        let stop = (last + 1).min(self.parts.len());
        let mut old = Columns::of(self.buckets.as_ref());
        for part in &self.parts[first..stop] {
            part.copy_to(0..part.len(), &mut old);
        }
        let mut series = self.clone();
        if last == self.parts.len() {
            self.tail.copy_to(0, self.tail.len(), &mut old);
            series.appended_before += self.tail.len() as u64;
            series.tail = Arc::new(self.tail.like(self.tail.capacity()));
        }
        let mut parts = self.parts[..first].to_vec();
        for columns in make(&old) {
            parts.push(Part::Chunk(Arc::new(columns.into_chunk()?)));
        }
        parts.extend_from_slice(&self.parts[stop..]);
        series.parts = parts.into();
        Ok(series)
    }
}

/// Old rows and new bars in order of time, in pieces of at most `rows`; a new bar takes the place of
/// an old row of its label.
fn merge(old: &Columns, new: &[Bar], buckets: Option<&Buckets>, rows: usize) -> Vec<Columns> {
    let mut pieces = Pieces::new(old.len() + new.len(), buckets, rows);
    let mut row = 0;
    for bar in new {
        while row < old.len() && old.ts[row] < bar.ts {
            pieces.push(&old.bar(row, buckets));
            row += 1;
        }
        row += usize::from(row < old.len() && old.ts[row] == bar.ts);
        pieces.push(bar);
    }
    for row in row..old.len() {
        pieces.push(&old.bar(row, buckets));
    }
    pieces.done
}

/// Columns of at most so many rows each.
struct Pieces<'a> {
    done: Vec<Columns>,
    buckets: Option<&'a Buckets>,
    rows: usize,
    /// At most so many rows are still to come.
    left: usize,
}

impl<'a> Pieces<'a> {
    fn new(left: usize, buckets: Option<&'a Buckets>, rows: usize) -> Self {
        Self { done: Vec::new(), buckets, rows, left }
    }

    fn push(&mut self, bar: &Bar) {
        if self.done.last().is_none_or(|piece| piece.len() == self.rows) {
            let rows = self.left.min(self.rows);
            self.done.push(Columns::with_capacity(rows, self.buckets));
        }
        if let Some(piece) = self.done.last_mut() {
            piece.push(bar);
        }
        self.left -= 1;
    }
}
