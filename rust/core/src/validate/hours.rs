//! The trading hours that ticks have to lie in, and the breaks that end a price band.
//!
//! Nearly every tick lies in the same hours as the one before it, so that those are remembered and
//! the table is looked at only where they end.

use super::flags::Flags;
use super::rules::Action;
use crate::reason::Reason;
use crate::sessions::Sessions;
use std::sync::Arc;

/// See the module documentation.
#[derive(Clone, Debug)]
pub(super) struct Hours {
    table: Option<Arc<Sessions>>,
    action: Action,
    /// The hours that held the last tick that lay in any. Without a table, all time.
    open: i64,
    length: u64,
}

impl Hours {
    /// Hours of an instrument; None if it is not known when it trades.
    pub(super) fn new(table: Option<Arc<Sessions>>, action: Action) -> Self {
        let length = if table.is_some() { 0 } else { u64::MAX };
        Self { table, action, open: i64::MIN, length }
    }

    /// The same hours under another rule.
    pub(super) fn resume(&mut self, other: &Self) {
        *self = Self { action: self.action, ..other.clone() };
    }

    /// Whether a time lies where the last one did.
    #[inline]
    pub(super) fn holds(&self, ts: i64) -> bool {
        (ts.wrapping_sub(self.open) as u64) < self.length
    }

    /// Judges a tick of which `holds` is not known to be true, and goes to its hours. Tells whether
    /// there was a break after `last`, the time of the price last believed.
    ///
    /// # Errors
    /// It lies outside of all hours, and that is to be rejected.
    pub(super) fn enter(&mut self, ts: i64, last: i64, flags: &mut Flags) -> Result<bool, Reason> {
        let Some(table) = self.table.as_ref().filter(|_| !self.holds(ts)) else {
            return Ok(false);
        };
        let Some((open, close)) = table.span(ts) else {
            flags.apply(self.action, Reason::Session)?;
            return Ok(false);
        };
        (self.open, self.length) = (open, close.wrapping_sub(open) as u64);
        // Hours that touch are no break, so the ones before them may have to be looked at.
        let mut start = open;
        while start > last {
            match table.span(start - 1) {
                None => return Ok(true),
                Some((before, _)) => start = before,
            }
        }
        Ok(false)
    }
}
