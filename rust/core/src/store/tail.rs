//! A short run of bars that is appended to while readers copy from it.
//!
//! Rows below `len` never change again, so a reader that loaded `len` with Acquire may copy them at
//! leisure: the writer stores a row's words (Relaxed) before it stores the larger `len` (Release).

use super::chunk::Columns;
use crate::bars::Bar;
use crate::sync::{AtomicU64, Ordering, zeroed_records, zeroed_words};

/// Words of a row: everything of a bar but its end, which nearly always follows from the timeframe.
const WORDS: usize = 9;
/// Rows that are copied together, column by column, while they lie in the nearest cache.
const COPIED: usize = 64;

#[derive(Debug)]
pub(crate) struct Tail {
    len: AtomicU64,
    rows: Box<[[AtomicU64; WORDS]]>,
    /// The ends of the bars, where they do not follow from a timeframe.
    ends: Option<Box<[AtomicU64]>>,
}

impl Tail {
    /// Room for bars, with their ends if those have to be kept.
    pub(crate) fn new(capacity: usize, with_ends: bool) -> Self {
        let ends = with_ends.then(|| zeroed_words(capacity));
        Self { len: AtomicU64::new(0), rows: zeroed_records(capacity), ends }
    }

    /// An empty one of the same sort.
    pub(super) fn like(&self, capacity: usize) -> Self {
        Self::new(capacity, self.ends.is_some())
    }

    pub(crate) fn len(&self) -> usize {
        self.len.load(Ordering::Acquire) as usize
    }

    pub(crate) fn is_full(&self) -> bool {
        self.len() == self.rows.len()
    }

    pub(crate) fn capacity(&self) -> usize {
        self.rows.len()
    }

    /// Bytes of memory that have been written.
    pub(crate) fn touched_bytes(&self) -> usize {
        self.len() * (WORDS + usize::from(self.ends.is_some())) * size_of::<u64>()
    }

    /// Appends a row. Only the series' one writer may call it, and only while there is room.
    pub(crate) fn push(&self, bar: &Bar) {
        let row = self.len.load(Ordering::Relaxed);
        let words = [
            bar.ts as u64,
            bar.open.to_bits(),
            bar.high.to_bits(),
            bar.low.to_bits(),
            bar.close.to_bits(),
            bar.volume.to_bits(),
            bar.vwap.to_bits(),
            bar.trades << 1 | u64::from(bar.complete),
            u64::from(bar.revision),
        ];
        for (word, value) in self.rows[row as usize].iter().zip(words) {
            word.store(value, Ordering::Relaxed);
        }
        if let Some(ends) = &self.ends {
            ends[row as usize].store(bar.ts_end as u64, Ordering::Relaxed);
        }
        self.len.store(row + 1, Ordering::Release);
    }

    /// A tail of the same rows with bars (ascending, distinct) put in, in place of those of equal
    /// label. For the series' one writer.
    pub(crate) fn with_bars(&self, bars: &[Bar]) -> Self {
        let tail = self.like(self.capacity().max(self.len() + bars.len()));
        let mut row = 0;
        for bar in bars {
            while row < self.len() && self.ts(row) < bar.ts {
                tail.push_row(self, row);
                row += 1;
            }
            row += usize::from(row < self.len() && self.ts(row) == bar.ts);
            tail.push(bar);
        }
        (row..self.len()).for_each(|row| tail.push_row(self, row));
        tail
    }

    fn push_row(&self, from: &Self, row: usize) {
        let len = self.len.load(Ordering::Relaxed);
        let copy = |to: &AtomicU64, from: &AtomicU64| {
            to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
        };
        for (word, from) in self.rows[len as usize].iter().zip(&from.rows[row]) {
            copy(word, from);
        }
        if let (Some(ends), Some(from)) = (&self.ends, &from.ends) {
            copy(&ends[len as usize], &from[row]);
        }
        self.len.store(len + 1, Ordering::Release);
    }

    pub(crate) fn ts(&self, row: usize) -> i64 {
        self.rows[row][0].load(Ordering::Relaxed) as i64
    }

    /// Copies rows `from..to`, all below `len`, to the end of `out`.
    pub(crate) fn copy_to(&self, from: usize, to: usize, out: &mut Columns) {
        for rows in self.rows[from..to].chunks(COPIED) {
            let column = |index: usize| {
                rows.iter().map(move |row: &[AtomicU64; WORDS]| row[index].load(Ordering::Relaxed))
            };
            out.ts.extend(column(0).map(|word| word as i64));
            for (index, values) in out.prices_mut().into_iter().enumerate() {
                values.extend(column(1 + index).map(f64::from_bits));
            }
            out.trades.extend(column(7).map(|word| (word >> 1) as i64));
            out.complete.extend(column(7).map(|word| word & 1 != 0));
            out.revision.extend(column(8).map(|word| word as u32));
        }
        if let (Some(ends), Some(out)) = (&self.ends, &mut out.ends) {
            out.extend(ends[from..to].iter().map(|end| end.load(Ordering::Relaxed) as i64));
        }
    }
}
