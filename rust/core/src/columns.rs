//! Trades in columns, and the blocks of them that need no look at each.
//!
//! A batch is the same as its rows pushed one after another. Most runs of [`BLOCK`] rows are so
//! ordinary, though, that checking all of them first and applying all of them after gives just
//! that: every trade passes every rule, event times do not go back and do not jump. Then the checks
//! are arithmetic on whole columns without a branch, and the bars are built run by run. A block of
//! which anything else is true goes row by row.

use crate::record::{NO_TIME, Side, Trade};

/// Rows that are checked together. Long enough for the loops, short enough that one odd row costs
/// little.
pub(crate) const BLOCK: usize = 64;

/// Columns of trades of one instrument, all of the same length.
#[derive(Clone, Copy, Debug)]
pub struct TradeColumns<'a> {
    /// Venue times, ns UTC.
    pub ts_event: &'a [i64],
    /// Arrival times, ns UTC, if they are known.
    pub ts_recv: Option<&'a [i64]>,
    /// Prices.
    pub price: &'a [f64],
    /// Sizes.
    pub size: &'a [f64],
    /// 1 buy, -1 sell, 0 not known.
    pub side: Option<&'a [i8]>,
}

impl<'a> TradeColumns<'a> {
    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ts_event.len()
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ts_event.is_empty()
    }

    /// One row. It must exist.
    #[inline]
    #[must_use]
    pub fn row(&self, row: usize) -> Trade {
        Trade {
            ts_event: self.ts_event[row],
            ts_recv: self.ts_recv.map_or(NO_TIME, |column| column[row]),
            price: self.price[row],
            size: self.size[row],
            side: self.side.map_or(Side::None, |column| Side::from_sign(column[row])),
        }
    }

    /// The block that begins at `first`, if it ends before `end` and no arrival times say more
    /// about its rows.
    #[inline]
    pub(crate) fn block(&self, first: usize, end: usize) -> Option<Block<'a>> {
        if self.ts_recv.is_some() {
            return None;
        }
        Some(Block {
            ts_event: self.ts_event.get(first..end)?.first_chunk()?,
            price: self.price.get(first..end)?.first_chunk()?,
            size: self.size.get(first..end)?.first_chunk()?,
            side: match self.side {
                Some(column) => Some(column.get(first..end)?.first_chunk()?),
                None => None,
            },
        })
    }
}

/// A block of rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block<'a> {
    pub(crate) ts_event: &'a [i64; BLOCK],
    pub(crate) price: &'a [f64; BLOCK],
    pub(crate) size: &'a [f64; BLOCK],
    pub(crate) side: Option<&'a [i8; BLOCK]>,
}

impl Block<'_> {
    /// Whether event times do not go back, and each lies at most `step_ns`, rounded down to a power
    /// of two, after the one before.
    #[inline]
    pub(crate) fn is_steady(&self, step_ns: i64) -> bool {
        let mut steps = 0_u64;
        for pair in self.ts_event.windows(2) {
            steps |= pair[1].wrapping_sub(pair[0]) as u64;
        }
        // A step back sets the highest bit; nothing that wraps around is small.
        steps < 1 << (63 - (step_ns as u64).leading_zeros()) && self.ts_event[0] != NO_TIME
    }
}
