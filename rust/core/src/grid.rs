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
        // Adding what leaves no room for a fraction rounds to the nearest integer: two additions
        // where the instruction set has no rounding and `round` is a call. Beyond 2^51 it may be off
        // by one, where the tolerance below is larger than that.
        const NO_FRACTION: f64 = 1.5 * (1_u64 << 52) as f64;
        let scaled = price * self.scale;
        let whole = (scaled + NO_FRACTION) - NO_FRACTION;
        // A price that was parsed or computed in binary is off by a few units in the last place.
        (scaled - whole).abs() <= scaled.abs() * 1e-14 + 1e-9
            && (self.step == 1 || whole as i64 % self.step == 0)
    }
}

fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { gcd(b, a % b) }
}
