//! A short run of bars that is appended to while readers copy from it.
//!
//! Rows below `len` never change again, so a reader that loaded `len` with Acquire may copy them at
//! leisure: the writer stores a row's words (Relaxed) before it stores the larger `len` (Release).

use super::chunk::Columns;
use crate::bars::Bar;
use crate::sync::{AtomicU64, Ordering, zeroed_words};

/// Words of a row: everything of a bar but its end, which follows from the timeframe.
const COLUMNS: usize = 9;

#[derive(Debug)]
pub(crate) struct Tail {
    len: AtomicU64,
    /// Column after column, each of `capacity` words.
    words: Box<[AtomicU64]>,
    capacity: usize,
}

impl Tail {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { len: AtomicU64::new(0), words: zeroed_words(capacity * COLUMNS), capacity }
    }

    pub(crate) fn len(&self) -> usize {
        self.len.load(Ordering::Acquire) as usize
    }

    pub(crate) fn is_full(&self) -> bool {
        self.len() == self.capacity
    }

    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Bytes of memory that have been written.
    pub(crate) fn touched_bytes(&self) -> usize {
        self.len() * COLUMNS * size_of::<u64>()
    }

    /// Appends a row. Only the series' one writer may call it, and only while there is room.
    pub(crate) fn push(&self, bar: &Bar) {
        let row = self.len.load(Ordering::Relaxed) as usize;
        debug_assert!(row < self.capacity);
        let words = [
            bar.ts as u64,
            bar.open.to_bits(),
            bar.high.to_bits(),
            bar.low.to_bits(),
            bar.close.to_bits(),
            bar.volume.to_bits(),
            bar.vwap.to_bits(),
            bar.trades,
            u64::from(bar.complete) | u64::from(bar.revision) << 1,
        ];
        for (column, word) in words.into_iter().enumerate() {
            self.words[column * self.capacity + row].store(word, Ordering::Relaxed);
        }
        self.len.store(row as u64 + 1, Ordering::Release);
    }

    fn word(&self, column: usize, row: usize) -> u64 {
        self.words[column * self.capacity + row].load(Ordering::Relaxed)
    }

    pub(crate) fn ts(&self, row: usize) -> i64 {
        self.word(0, row) as i64
    }

    /// Copies rows `from..to`, all below `len`, to the end of `out`.
    pub(crate) fn copy_to(&self, from: usize, to: usize, out: &mut Columns) {
        let column = |index: usize| {
            let start = index * self.capacity;
            self.words[start + from..start + to].iter().map(|word| word.load(Ordering::Relaxed))
        };
        out.ts.extend(column(0).map(|word| word as i64));
        for (index, values) in out.prices_mut().into_iter().enumerate() {
            values.extend(column(1 + index).map(f64::from_bits));
        }
        out.trades.extend(column(7).map(|word| word as i64));
        for word in column(8) {
            out.complete.push(word & 1 != 0);
            out.revision.push((word >> 1) as u32);
        }
    }
}
