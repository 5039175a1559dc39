//! Prices that jump away and come back at once.
//!
//! A jump is a move of more than `spike_moves` times the usual one. If within `spike_ticks` ticks more
//! than half of it is undone, what lay between was a spike; else the market has moved. That is known
//! only when the price is back, so the ticks of a spike have long been applied: they are named, and
//! nothing is undone.

use super::rules::Rules;
use super::typical::Typical;
use crate::record::Tick;

/// See the module documentation.
#[derive(Clone, Debug)]
pub(super) struct Spike {
    /// Moves of prices, as far as they did move.
    moves: Typical,
    tick_size: f64,
    times: f64,
    most: usize,
    last: f64,
    /// The price before the jump under suspicion, and how far it went.
    base: f64,
    jump: f64,
    /// The ticks since; none when nothing is suspected.
    suspects: Vec<Tick>,
    /// The ticks of the spike found last.
    found: Vec<Tick>,
}

impl Spike {
    pub(super) fn new(rules: &Rules, tick_size: f64) -> Self {
        let most = rules.spike_ticks as usize;
        Self {
            moves: Typical::new(),
            tick_size,
            times: rules.spike_moves,
            most,
            last: f64::NAN,
            base: f64::NAN,
            jump: f64::NAN,
            suspects: Vec::with_capacity(most),
            found: Vec::new(),
        }
    }

    /// Goes on where another one was, under these rules.
    pub(super) fn resume(&mut self, other: Self) {
        *self = Self { tick_size: self.tick_size, times: self.times, most: self.most, ..other };
    }

    /// The ticks of the spike found last, oldest first.
    pub(super) fn found(&self) -> &[Tick] {
        &self.found
    }

    /// Takes note of an accepted tick; says whether with it the price is back from a spike.
    #[inline]
    pub(super) fn observe(&mut self, tick: impl FnOnce() -> Tick, price: f64) -> bool {
        let before = std::mem::replace(&mut self.last, price);
        let moved = (price - before).abs();
        if self.is_jump(moved) || !self.suspects.is_empty() {
            return self.suspect(tick(), price, before);
        }
        if moved > 0.0 {
            self.moves.observe(moved);
        }
        false
    }

    #[inline]
    fn is_jump(&self, moved: f64) -> bool {
        // Two comparisons, because nothing is more than an unknown usual move.
        moved > self.times * self.moves.value() && moved > self.times * self.tick_size
    }

    #[cold]
    fn suspect(&mut self, tick: Tick, price: f64, before: f64) -> bool {
        if !self.suspects.is_empty() {
            if (price - self.base) / self.jump < 0.5 {
                self.found.clear();
                self.found.append(&mut self.suspects);
                return true;
            }
            if self.suspects.len() < self.most {
                self.suspects.push(tick);
                return false;
            }
            self.suspects.clear();
        }
        let moved = (price - before).abs();
        if self.is_jump(moved) {
            self.base = before;
            self.jump = price - before;
            self.suspects.push(tick);
        }
        if moved > 0.0 {
            self.moves.observe(moved);
        }
        false
    }
}
