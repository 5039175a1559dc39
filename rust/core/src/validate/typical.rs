//! What is usual in a stream of positive numbers: a running median in one word.
//!
//! The median of the first [`WARM_UP`] numbers, and from then on the frugal estimate of Ma,
//! Muthukrishnan and Sandler ("Frugal Streaming for Estimating Quantiles", 2013, arXiv:1407.1121): a
//! number above the estimate moves it up by a step, one below down by a step, whatever their size. The
//! step is a fraction, because sizes and moves of prices differ by orders of magnitude. No number alone
//! moves it by more than a step, so that what is looked for does not hide itself; and it follows a
//! market that really changes, by a factor of ten in some 75 numbers.

/// Numbers before there is an estimate.
pub(super) const WARM_UP: usize = 31;

const UP: f64 = 1.0 + 1.0 / 32.0;
const DOWN: f64 = 1.0 / UP;

/// See the module documentation.
#[derive(Clone, Debug)]
pub(super) struct Typical {
    /// The first numbers; empty once there is an estimate.
    first: Vec<f64>,
    value: f64,
}

impl Typical {
    pub(super) fn new() -> Self {
        Self { first: Vec::with_capacity(WARM_UP), value: f64::NAN }
    }

    /// The estimate, NaN before there is one: nothing is above so many times that.
    #[inline]
    pub(super) fn value(&self) -> f64 {
        self.value
    }

    /// Takes note of a number above zero.
    #[inline]
    pub(super) fn observe(&mut self, number: f64) {
        if self.value.is_nan() {
            return self.begin(number);
        }
        // Which way is as good as random, so it is chosen without a branch.
        let up = if number > self.value { UP } else { 1.0 };
        let down = if number < self.value { DOWN } else { 1.0 };
        // Beyond the ends it would never come back.
        self.value = (self.value * (up * down)).clamp(f64::MIN_POSITIVE, f64::MAX);
    }

    #[cold]
    fn begin(&mut self, number: f64) {
        self.first.push(number);
        if self.first.len() == WARM_UP {
            self.first.sort_by(f64::total_cmp);
            self.value = self.first[WARM_UP / 2];
            self.first = Vec::new();
        }
    }
}
