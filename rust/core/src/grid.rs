//! The grid of prices that an instrument trades at.

/// The tick grid in integers: a price is on it when `price * scale` is a multiple of `step`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Grid {
    pub(crate) scale: f64,
    pub(crate) step: i64,
}

impl Grid {
    /// The smallest power of ten, or else of two, that makes the tick size an integer.
    pub(crate) fn new(tick_size: f64) -> Option<Self> {
        let tens = (0..=12).map(|k| 10f64.powi(k));
        let twos = (0..=24).map(|k| 2f64.powi(k));
        tens.chain(twos).find_map(|scale| {
            let step = tick_size * scale;
            let whole = step.round();
            // One rounding when the tick size was read, one here. More room would take the twelfth
            // power of ten for a grid of anything, such as thirds.
            if !(whole >= 1.0 && (step - whole).abs() <= whole * (2.0 * f64::EPSILON)) {
                return None;
            }
            // Lowest terms: where the step becomes 1, as it nearly always does, no division is due.
            let common = gcd(scale as i64, whole as i64);
            Some(Self { scale: scale / common as f64, step: whole as i64 / common })
        })
    }

    #[inline]
    pub(crate) fn holds(self, price: f64) -> bool {
        let scaled = price * self.scale;
        // Beyond 2^51 it may be off by one, where the tolerance below is larger than that.
        let whole = nearest(scaled);
        // A price that was parsed or computed in binary is off by a few units in the last place.
        (scaled - whole).abs() <= scaled.abs() * 1e-14 + 1e-9
            && (self.step == 1 || whole as i64 % self.step == 0)
    }
}

/// Prices as whole numbers of small parts of a tick, so that distances between them are exact. A price
/// on the grid is a multiple of a tick whatever its binary form lacks; half ticks (the middle of bid
/// and ask) and any other part that is a fraction by a power of two are exact, too.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Steps {
    grid: Grid,
    /// Steps in one of what a price times the grid's scale counts.
    fine: f64,
}

impl Steps {
    const IN_TICK: i64 = 1 << 16;

    pub(crate) fn new(tick_size: f64) -> Self {
        // A tick size that is no fraction of a power of ten or two.
        let odd = || Grid { scale: 1.0 / tick_size, step: 1 };
        let grid = Grid::new(tick_size).unwrap_or_else(odd);
        Self { grid, fine: Self::IN_TICK as f64 / grid.step as f64 }
    }

    /// So many ticks.
    pub(crate) fn in_ticks(ticks: u32) -> i64 {
        i64::from(ticks) * Self::IN_TICK
    }

    /// The nearest step to a price. Saturates.
    #[inline]
    pub(crate) fn of(&self, price: f64) -> i64 {
        nearest(price * self.grid.scale * self.fine) as i64
    }

    /// The price of a step: the nearest number to its decimal form.
    pub(crate) fn price(&self, step: i64) -> f64 {
        let scaled = step as f64 * self.grid.step as f64;
        scaled / (self.grid.scale * Self::IN_TICK as f64)
    }
}

/// The nearest integer, unless the number is beyond 2^51, where it may be the one beside it: adding
/// what leaves no room for a fraction takes two additions, where the instruction set has no rounding
/// and `round` is a call.
#[inline]
fn nearest(number: f64) -> f64 {
    const NO_FRACTION: f64 = 1.5 * (1_u64 << 52) as f64;
    (number + NO_FRACTION) - NO_FRACTION
}

fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { gcd(b, a % b) }
}
