//! The rules that remember: what is usual, how far time has come, what the tick before was.
//!
//! Made only where one of them is on, so that an instrument without them pays a branch for all.

use super::flags::Flags;
use super::rules::{Action, Rules};
use super::spike::Spike;
use super::typical::Typical;
use crate::reason::Reason;
use crate::record::{NO_TIME, Tick};

/// What one stream's checks remember of the ticks before.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    outsize: Action,
    outsize_times: f64,
    sizes: Typical,
    backwards: Action,
    backwards_ns: i64,
    agree: u32,
    /// The newest event time accepted, and how many ticks in a row have been behind it.
    newest: i64,
    behind: u32,
    duplicate: Action,
    /// Kept for `duplicate` alone.
    last: Option<Tick>,
    spike: Option<Spike>,
}

impl Memory {
    /// None where no rule needs it.
    pub(super) fn new(rules: &Rules, tick_size: f64) -> Option<Box<Self>> {
        let Rules { outsize, backwards, duplicate, spike, .. } = *rules;
        if [outsize, backwards, duplicate, spike] == [Action::Off; 4] {
            return None;
        }
        Some(Box::new(Self {
            outsize,
            outsize_times: rules.outsize_times,
            sizes: Typical::new(),
            backwards,
            backwards_ns: rules.backwards_ns,
            agree: rules.band_agree,
            newest: NO_TIME,
            behind: 0,
            duplicate,
            last: None,
            spike: (spike != Action::Off).then(|| Spike::new(rules, tick_size)),
        }))
    }

    /// Goes on where another one was, under these rules.
    pub(super) fn resume(&mut self, other: Self) {
        self.sizes = other.sizes;
        (self.newest, self.behind) = (other.newest, other.behind);
        self.last = other.last.filter(|_| self.duplicate != Action::Off);
        if let (Some(spike), Some(other)) = (&mut self.spike, other.spike) {
            spike.resume(other);
        }
    }

    /// The ticks of the spike found last.
    pub(super) fn spike(&self) -> &[Tick] {
        self.spike.as_ref().map_or(&[], Spike::found)
    }

    /// Judges the size of a trade. Every size counts for what is usual, that of a refused trade, too: a
    /// market whose sizes really grow is followed.
    #[inline]
    pub(super) fn size(&mut self, size: f64, flags: &mut Flags) -> Result<(), Reason> {
        if self.outsize == Action::Off || size <= 0.0 {
            return Ok(());
        }
        let too_much = size > self.outsize_times * self.sizes.value();
        self.sizes.observe(size);
        if too_much { flags.apply(self.outsize, Reason::Outsize) } else { Ok(()) }
    }

    /// Judges an event time. One wrong stamp from the future must not condemn all honest ones after it,
    /// so that several ticks in a row which are behind are believed.
    #[inline]
    pub(super) fn time(&mut self, ts: i64, flags: &mut Flags) -> Result<(), Reason> {
        if ts >= self.newest.saturating_sub(self.backwards_ns) {
            self.behind = 0;
            return Ok(());
        }
        self.behind += 1;
        if self.behind >= self.agree {
            self.behind = 0;
            self.newest = ts;
            return Ok(());
        }
        flags.apply(self.backwards, Reason::Backwards)
    }

    /// Judges whether a tick is the same as the accepted one before it.
    #[inline]
    pub(super) fn sameness(
        &self,
        tick: impl FnOnce() -> Tick,
        flags: &mut Flags,
    ) -> Result<(), Reason> {
        match &self.last {
            Some(last) if last.is_same(&tick()) => flags.apply(self.duplicate, Reason::Duplicate),
            _ => Ok(()),
        }
    }

    /// Takes note of an accepted tick. It is copied only where a rule keeps it.
    #[inline]
    pub(super) fn accept(
        &mut self,
        tick: impl Fn() -> Tick,
        ts: i64,
        price: f64,
        flags: &mut Flags,
    ) {
        self.newest = self.newest.max(ts);
        if self.duplicate != Action::Off {
            self.last = Some(tick());
        }
        if let Some(spike) = &mut self.spike
            && spike.observe(tick, price)
        {
            flags.revert();
        }
    }
}
