//! How far a stream has come, in event time.
//!
//! The watermark is the largest *believed* event time less the allowed lateness, or what `advance`
//! was told, whichever is larger. It never goes back.
//!
//! A tick is believed if its event time is not ahead of its arrival, given by the venue's clock.
//! Without an arrival time, a jump of more than [`JUMP_NS`] needs a second tick beyond it, the next
//! one: one wrong stamp from the future cannot close bars early or make the honest ticks after it
//! late, however often that happens. The watermark then moves to the smaller of the two.

use crate::record::NO_TIME;

/// A step forward in event time that one tick alone cannot make, ns.
pub(crate) const JUMP_NS: i64 = 3_600_000_000_000;

/// See the module documentation.
#[derive(Clone, Debug)]
pub(crate) struct Watermark {
    lateness_ns: i64,
    believed: i64,
    /// The largest event time that waits for a second tick.
    doubted: Option<i64>,
    closing_time: i64,
}

impl Watermark {
    pub(crate) fn new(lateness_ns: i64) -> Self {
        Self { lateness_ns, believed: NO_TIME, doubted: None, closing_time: NO_TIME }
    }

    /// The time up to which bars are closed.
    #[inline]
    pub(crate) fn closing_time(&self) -> i64 {
        self.closing_time
    }

    /// The largest event time believed; before any is, that of the tick at hand.
    #[inline]
    pub(crate) fn believed(&self, ts_event: i64) -> i64 {
        if self.believed == NO_TIME { ts_event } else { self.believed }
    }

    /// Whether the next tick at this time, without arrival time, would be believed, and so would
    /// every later one that is not more than [`JUMP_NS`] after the one before.
    #[inline]
    pub(crate) fn follows(&self, ts_event: i64) -> bool {
        ts_event <= self.believed || ts_event.wrapping_sub(self.believed) as u64 <= JUMP_NS as u64
    }

    /// Takes note of an accepted tick; returns the closing time.
    #[inline]
    pub(crate) fn observe(&mut self, ts_event: i64, ts_recv: i64) -> i64 {
        if ts_event > self.believed {
            if ts_recv == NO_TIME {
                // The first tick of all is a jump, too.
                if ts_event.wrapping_sub(self.believed) as u64 > JUMP_NS as u64 {
                    self.doubt(ts_event);
                    return self.closing_time;
                }
            } else if ts_event > ts_recv {
                return self.closing_time;
            }
            self.believe(ts_event);
        }
        // Had a jump been real, this tick would lie beyond it, too.
        self.doubted = None;
        self.closing_time
    }

    #[inline]
    fn believe(&mut self, ts_event: i64) {
        self.believed = ts_event;
        self.closing_time = self.closing_time.max(ts_event.saturating_sub(self.lateness_ns));
    }

    #[cold]
    fn doubt(&mut self, ts_event: i64) {
        let Some(earlier) = self.doubted.replace(ts_event) else { return };
        let (nearer, farther) = (earlier.min(ts_event), earlier.max(ts_event));
        self.believe(nearer.max(self.believed));
        // What is still far ahead of everything believed keeps waiting; the rest is ordinary.
        self.doubted = Some(farther);
        if farther.saturating_sub(self.believed) <= JUMP_NS {
            self.doubted = None;
            self.believe(farther);
        }
    }

    /// Says that nothing below `now_ns` is worth waiting for; returns the closing time.
    pub(crate) fn advance(&mut self, now_ns: i64) -> i64 {
        self.closing_time = self.closing_time.max(now_ns);
        self.closing_time
    }
}
