//! How far the clock of this machine is ahead of the venue's, as far as arrivals can tell.
//!
//! An arrival is later than its event by the difference of the clocks plus the way, which is never
//! negative. So the smallest differences of the recent past say most of the first and least of the
//! second: the idea of NTP's clock filter (RFC 5905, section 10) and of V. Paxson, "On Calibrating
//! Measurements of Packet Transit Times" (SIGMETRICS 1998).
//!
//! # Contract
//! - The estimate is the smallest difference that three arrivals in a row did not exceed, within the
//!   last two and a half to five minutes of arrivals. A stamp from the future stands between honest
//!   ones, and the largest of any three is then an honest one: alone, or with one beside it, it moves
//!   the estimate nowhere that honest ticks have not been.
//! - Ticks that came together are one arrival, of which the last counts: it was the least on its way.
//! - A clock that was set back is followed within three arrivals, one that was set forward when the
//!   older differences are forgotten. While nothing comes, nothing is forgotten.
//!
//! A delay that every tick has looks like a clock that is ahead, and counts as one.

use crate::record::NO_TIME;

/// Arrivals are forgotten together with those of as much time.
const WINDOW_NS: i64 = 150_000_000_000;
const UNKNOWN: i64 = i64::MAX;

/// See the module documentation.
#[derive(Clone, Debug)]
pub(crate) struct ClockOffset {
    /// The newest arrival.
    newest: i64,
    /// The differences of the newest three arrivals, the newest first.
    three: [i64; 3],
    /// The smallest of the largest of three, in this window and in the one before.
    current: i64,
    previous: i64,
    /// When this window began.
    start: i64,
}

impl ClockOffset {
    pub(crate) fn new() -> Self {
        Self {
            newest: NO_TIME,
            three: [UNKNOWN; 3],
            current: UNKNOWN,
            previous: UNKNOWN,
            start: NO_TIME,
        }
    }

    /// Takes note of a tick; whether the estimate has changed.
    #[inline]
    pub(crate) fn sample(&mut self, ts_event: i64, ts_recv: i64) -> bool {
        let [newest, second, third] = &mut self.three;
        if ts_recv != self.newest {
            self.newest = ts_recv;
            (*second, *third) = (*newest, *second);
        }
        *newest = ts_recv.saturating_sub(ts_event);
        let low = (*newest).max(*second).max(*third);
        let is_over = ts_recv.wrapping_sub(self.start) as u64 >= WINDOW_NS as u64;
        (is_over || low < self.current) && self.take(ts_recv, low, is_over)
    }

    #[cold]
    fn take(&mut self, ts_recv: i64, low: i64, is_over: bool) -> bool {
        let before = self.get();
        if is_over && self.current != UNKNOWN {
            (self.previous, self.current) = (self.current, UNKNOWN);
            self.start = ts_recv;
        }
        self.current = self.current.min(low);
        self.get() != before
    }

    /// The estimate, ns; none before three arrivals.
    #[inline]
    pub(crate) fn get(&self) -> Option<i64> {
        let smallest = self.current.min(self.previous);
        (smallest != UNKNOWN).then_some(smallest)
    }

    /// The latest time that the venue's clock may have shown at an arrival. A clock that seems to be
    /// ahead makes it no earlier: old ticks that are sent again look like that, and each of them is
    /// ahead of what those before it have made the estimate.
    #[inline]
    pub(crate) fn venue_time(&self, ts_recv: i64) -> i64 {
        match self.get() {
            Some(offset) if ts_recv != NO_TIME => ts_recv.saturating_sub(offset.min(0)),
            _ => ts_recv,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ClockOffset;

    const SECOND: i64 = 1_000_000_000;

    /// Numbers that look random, and are the same everywhere.
    fn noise(seed: &mut u64, below: i64) -> i64 {
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        ((*seed >> 33) as i64) % below
    }

    #[test]
    fn it_is_found_within_the_jitter_of_the_way() {
        for skew in [-30 * SECOND, -SECOND, 0, 3 * SECOND, 900 * SECOND] {
            let (mut clock, mut seed) = (ClockOffset::new(), 7);
            for tick in 0..2_000 {
                let way = 1_000_000 + noise(&mut seed, SECOND / 5);
                clock.sample(tick * SECOND / 10, tick * SECOND / 10 + way + skew);
            }
            let found = clock.get().map_or(i64::MAX, |offset| offset - skew);
            assert!((0..SECOND / 20).contains(&found), "{skew}: {found}");
        }
    }

    #[test]
    fn stamps_from_the_future_shift_nothing_while_honest_ticks_stand_between_them() {
        let mut clock = ClockOffset::new();
        for tick in 0..6_000 {
            let recv = tick * SECOND / 10;
            let ahead = if tick % 3 > 0 && tick > 0 { 3_600 * SECOND } else { -SECOND / 50 };
            clock.sample(recv + ahead, recv);
            assert!(clock.get().is_none_or(|offset| offset == SECOND / 50), "tick {tick}");
        }
    }

    #[test]
    fn ticks_that_came_together_are_one_arrival() {
        let mut clock = ClockOffset::new();
        for recv in 1..4 {
            for _ in 0..9 {
                clock.sample(recv * SECOND + 5, recv * SECOND);
            }
            assert_eq!(clock.get(), (recv == 3).then_some(-5));
        }
    }

    #[test]
    fn a_clock_that_was_set_is_followed() {
        let mut clock = ClockOffset::new();
        let mut run = |from: i64, to: i64, offset: i64| {
            (from..to).for_each(|at| {
                clock.sample(at * SECOND, at * SECOND + offset);
            });
            clock.get()
        };
        assert_eq!(run(0, 100, 0), Some(0));
        // Arrivals go back with the clock.
        assert_eq!(run(100, 103, -7 * SECOND), Some(-7 * SECOND));
        assert_eq!(run(103, 160, 4 * SECOND), Some(-7 * SECOND));
        assert_eq!(run(160, 600, 4 * SECOND), Some(4 * SECOND));
        // Nothing comes for a day, and nothing is forgotten.
        assert_eq!(run(90_000, 90_001, 5 * SECOND), Some(4 * SECOND));
    }
}
