//! Local time as a table of offsets from UTC.
//!
//! # Contract
//! - [`Offsets`] knows from when on which offset holds. It knows no zone names and no rules: whoever
//!   makes the table has worked those out. Before the first transition and after the last, the
//!   nearest offset holds without end.
//! - *Local* times are what a wall clock shows, counted in ns as if it were UTC's. From UTC to local
//!   there is always one answer. The other way there may be two (the clock was set back) or none (it
//!   was set forward): [`Utc`].
//! - *Forward* is the largest local time that was shown up to a moment: local dates by it never go
//!   back, and begin when their midnight, or anything later, is shown for the first time.

use crate::lookup::Lookup;

/// No zone was ever farther from UTC; a table that claims it is wrong.
const FARTHEST: i64 = 26 * 3_600 * 1_000_000_000;
/// Moments of tables are no farther from the epoch, so that every sum with an offset is one of time.
const LIMIT: i64 = i64::MAX - FARTHEST;

/// A table that cannot be one of offsets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OffsetsError {
    /// One offset before the first transition, and one after each.
    #[error("got {offsets} offsets for {starts} transitions, expected one more than transitions")]
    Lengths {
        /// Number of transitions.
        starts: usize,
        /// Number of offsets.
        offsets: usize,
    },
    /// Transitions out of order.
    #[error("row {row}: got a transition that is not after the one before")]
    Order {
        /// Position of the transition.
        row: usize,
    },
    /// A moment or an offset that no clock has.
    #[error("row {row}: got {value} ns, too far from zero")]
    Range {
        /// Position in its column.
        row: usize,
        /// What was got.
        value: i64,
    },
}

/// The moments at which a local time was shown, ns UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Utc {
    /// Once.
    Once(i64),
    /// Twice: the clock was set back.
    Twice {
        /// The first time.
        earlier: i64,
        /// The last time.
        later: i64,
    },
    /// Never: the clock was set forward. What it showed instead, as long after the transition as
    /// the local time lies in the part that was left out.
    Never {
        /// Later by the length of the part that was left out.
        shifted: i64,
    },
}

/// Which of two moments is meant by a local time that was shown twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fold {
    /// The first.
    #[default]
    Earlier,
    /// The last.
    Later,
    /// Neither: it cannot be told.
    Raise,
}

/// What is meant by a local time that was never shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Gap {
    /// What the clock showed instead.
    #[default]
    Shift,
    /// Nothing: it is a mistake.
    Raise,
}

impl Utc {
    /// The moment that is meant, if that can be told.
    #[must_use]
    pub fn resolve(self, fold: Fold, gap: Gap) -> Option<i64> {
        match (self, fold, gap) {
            (Self::Once(ts), _, _) => Some(ts),
            (Self::Twice { earlier, .. }, Fold::Earlier, _) => Some(earlier),
            (Self::Twice { later, .. }, Fold::Later, _) => Some(later),
            (Self::Never { shifted }, _, Gap::Shift) => Some(shifted),
            _ => None,
        }
    }
}

/// See the module documentation.
#[derive(Clone, Debug)]
pub struct Offsets {
    /// When each offset but the first begins to hold.
    starts: Lookup,
    offsets: Box<[i64]>,
    /// For each offset, the largest local time shown before it begins to hold.
    shown: Box<[i64]>,
    grain_ns: i64,
}

impl Offsets {
    /// A table: `offsets[0]` holds before the first of `starts`, `offsets[1]` from it on, and so on;
    /// in ns, east of Greenwich above zero.
    ///
    /// # Errors
    /// What cannot be such a table.
    pub fn new(starts: &[i64], offsets: &[i64]) -> Result<Self, OffsetsError> {
        if offsets.len() != starts.len() + 1 {
            let (starts, offsets) = (starts.len(), offsets.len());
            return Err(OffsetsError::Lengths { starts, offsets });
        }
        if let Some(row) = (1..starts.len()).find(|&row| starts[row - 1] >= starts[row]) {
            return Err(OffsetsError::Order { row });
        }
        for (values, most) in [(starts, LIMIT), (offsets, FARTHEST)] {
            if let Some(row) = values.iter().position(|&value| !(-most..=most).contains(&value)) {
                return Err(OffsetsError::Range { row, value: values[row] });
            }
        }
        let mut shown = vec![i64::MIN];
        for (row, start) in starts.iter().enumerate() {
            shown.push(shown[row].max(start - 1 + offsets[row]));
        }
        let grain_ns = starts.iter().chain(offsets).fold(0, |grain, &value| gcd(grain, value));
        let offsets = offsets.into();
        Ok(Self { starts: Lookup::new(starts), offsets, shown: shown.into(), grain_ns })
    }

    /// The transitions, ns UTC.
    #[must_use]
    pub fn starts(&self) -> &[i64] {
        self.starts.times()
    }

    /// The offset before the first transition, and after each, ns.
    #[must_use]
    pub fn offsets(&self) -> &[i64] {
        &self.offsets
    }

    /// The largest length of which all transitions and all offsets are multiples; 0 if all are zero.
    pub(crate) fn grain_ns(&self) -> i64 {
        self.grain_ns
    }

    /// The position of the offset that holds at `ts`, ns UTC.
    #[inline]
    pub(crate) fn span(&self, ts: i64) -> usize {
        self.starts.count(ts)
    }

    /// The transition that begins a span; the one that ends it begins the next.
    pub(crate) fn start(&self, span: usize) -> Option<i64> {
        self.starts().get(span.checked_sub(1)?).copied()
    }

    /// The offset that holds at `ts`, ns.
    #[inline]
    #[must_use]
    pub fn offset(&self, ts: i64) -> i64 {
        self.offsets[self.span(ts)]
    }

    /// The local time at `ts`.
    #[inline]
    #[must_use]
    pub fn local(&self, ts: i64) -> i64 {
        ts.saturating_add(self.offset(ts))
    }

    /// The moments at which a local time was shown.
    #[must_use]
    pub fn utc(&self, local: i64) -> Utc {
        let (mut first, mut last, mut skipped) = (None, None, local);
        let spans =
            self.span(local.saturating_sub(FARTHEST))..=self.span(local.saturating_add(FARTHEST));
        for span in spans {
            let ts = local.saturating_sub(self.offsets[span]);
            let begun = self.start(span).is_none_or(|start| start <= ts);
            let ended = self.start(span + 1).is_some_and(|end| end <= ts);
            if begun && !ended {
                first = first.or(Some(ts));
                last = Some(ts);
            } else if ended && first.is_none() {
                skipped = ts;
            }
        }
        match (first, last) {
            (Some(earlier), Some(later)) if earlier < later => Utc::Twice { earlier, later },
            (Some(ts), _) => Utc::Once(ts),
            _ => Utc::Never { shifted: skipped },
        }
    }

    /// Whether the local time at `ts` was shown before.
    #[must_use]
    pub fn is_repeated(&self, ts: i64) -> bool {
        matches!(self.utc(self.local(ts)), Utc::Twice { earlier, .. } if earlier < ts)
    }

    /// The largest local time shown up to `ts`.
    pub(crate) fn forward(&self, ts: i64) -> i64 {
        let span = self.span(ts);
        ts.saturating_add(self.offsets[span]).max(self.shown[span])
    }

    /// The first moment that shows `local` or anything later.
    pub(crate) fn first_shown(&self, local: i64) -> i64 {
        // The last span that begins before it was shown.
        let span = self.shown.partition_point(|&shown| shown < local).saturating_sub(1);
        let ts = local.saturating_sub(self.offsets[span]);
        self.start(span).map_or(ts, |start| start.max(ts))
    }
}

fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a.abs() } else { gcd(b, a % b) }
}
