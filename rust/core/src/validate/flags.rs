//! What is said of a tick that was accepted although it broke rules.

use super::rules::Action;
use crate::reason::Reason;

/// Reasons for which an accepted tick was flagged; a set of bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(u32);

/// Above the bits of all reasons.
const REVERTED: u32 = 1 << 31;
const _: () = assert!(Reason::ALL.len() < 31);

impl Flags {
    /// No flags.
    pub const NONE: Self = Self(0);

    pub(super) fn add(&mut self, reason: Reason) {
        self.0 |= 1 << reason as u8;
    }

    /// Says that with this tick the price is back from a spike.
    pub(super) fn revert(&mut self) {
        self.0 |= REVERTED;
    }

    /// Whether with this tick the price is back from a spike, which
    /// [`Validator::spike`](super::Validator::spike) names. That says nothing against this tick.
    #[must_use]
    pub fn has_reverted(self) -> bool {
        self.0 & REVERTED != 0
    }

    /// Whether there is nothing to say.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The reasons as bits, the first of [`Reason::ALL`] lowest.
    #[must_use]
    pub fn bits(self) -> u32 {
        self.0 & !REVERTED
    }

    /// The flagged reasons.
    pub fn iter(self) -> impl Iterator<Item = Reason> {
        Reason::ALL.iter().copied().filter(move |reason| self.0 & (1 << *reason as u8) != 0)
    }

    /// Does what the rule says with a tick that breaks it.
    #[inline]
    pub(super) fn apply(&mut self, action: Action, reason: Reason) -> Result<(), Reason> {
        match action {
            Action::Reject => return Err(reason),
            Action::Flag => self.add(reason),
            Action::Off => {}
        }
        Ok(())
    }
}
