//! A bar: while ticks still enter it ([`OpenBar`]), and once it is closed ([`Bar`]).

/// Sums, compensated: exact for integers up to 2^53, and for anything else within a few units in the
/// last place of the sum of magnitudes, however many terms there are (T. J. Dekker's fast two-sum;
/// where a term is larger than the sum so far, what is kept of the rounding is itself rounded once).
/// Side by side, because the processor adds pairs as it adds one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sums<const N: usize> {
    high: [f64; N],
    /// What the additions above have rounded away.
    low: [f64; N],
}

impl<const N: usize> Sums<N> {
    pub(super) const ZERO: Self = Self { high: [0.0; N], low: [0.0; N] };

    #[inline]
    pub(super) fn add(&mut self, terms: [f64; N]) {
        for ((high, low), term) in self.high.iter_mut().zip(&mut self.low).zip(terms) {
            let sum = *high + term;
            *low += term - (sum - *high);
            *high = sum;
        }
    }

    #[inline]
    fn merge(&mut self, other: &Self) {
        self.add(other.high);
        for (low, other) in self.low.iter_mut().zip(other.low) {
            *low += other;
        }
    }

    #[inline]
    pub(super) fn get(&self, index: usize) -> f64 {
        self.high[index] + self.low[index]
    }
}

/// A closed bar. One of a length of time is left-closed and labelled by its start: it covers
/// `ts <= ts_event < ts_end`. Any other is labelled by its first tick and ends with its last one, and
/// its ticks stand in the order of arrival.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bar {
    /// Start, or the time of the first tick, ns UTC.
    pub ts: i64,
    /// End (exclusive), or the time of the last tick, ns UTC.
    pub ts_end: i64,
    /// First price in (event time, arrival) order.
    pub open: f64,
    /// Highest price.
    pub high: f64,
    /// Lowest price.
    pub low: f64,
    /// Last price in (event time, arrival) order.
    pub close: f64,
    /// Sum of sizes.
    pub volume: f64,
    /// Volume-weighted average price; NaN without volume.
    pub vwap: f64,
    /// Number of ticks.
    pub trades: u64,
    /// Whether the feed saw the whole of the bar.
    pub complete: bool,
    /// How often the bar was replaced after it closed.
    pub revision: u32,
}

/// A bar that ticks, or closed bars of a smaller timeframe, still enter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct OpenBar {
    pub(crate) start: i64,
    pub(crate) end: i64,
    pub(crate) open_ts: i64,
    pub(crate) close_ts: i64,
    pub(crate) open: f64,
    pub(crate) high: f64,
    pub(crate) low: f64,
    pub(crate) close: f64,
    /// Volume and notional.
    sums: Sums<2>,
    pub(crate) trades: u64,
    pub(crate) complete: bool,
    /// Whether it has no ticks and is filled at the previous close.
    pub(crate) flat: bool,
}

impl OpenBar {
    /// A bar without ticks.
    pub(crate) fn flat(bucket: (i64, i64), close: f64) -> Self {
        let bar = Self::of_tick(bucket, bucket.0, close, 0.0);
        Self { trades: 0, flat: true, ..bar }
    }

    /// A bar of one tick.
    #[inline]
    pub(crate) fn of_tick((start, end): (i64, i64), ts: i64, price: f64, size: f64) -> Self {
        let mut bar = Self {
            start,
            end,
            open_ts: ts,
            close_ts: ts,
            open: price,
            high: price,
            low: price,
            close: price,
            sums: Sums::ZERO,
            trades: 1,
            complete: true,
            flat: false,
        };
        bar.sums.add([size, price * size]);
        bar
    }

    /// Whether the bar covers a time.
    #[inline]
    pub(crate) fn holds(&self, ts: i64) -> bool {
        self.start <= ts && ts < self.end
    }

    /// Adds a tick. Among equal event times arrival decides: the first opens, the last closes.
    #[inline]
    pub(crate) fn add(&mut self, ts: i64, price: f64, size: f64) {
        if ts >= self.close_ts {
            self.close_ts = ts;
            self.close = price;
        } else if ts < self.open_ts {
            self.open_ts = ts;
            self.open = price;
        }
        // Not f64::max: prices are finite here, and the plain comparison is one instruction.
        self.high = if price > self.high { price } else { self.high };
        self.low = if price < self.low { price } else { self.low };
        self.sums.add([size, price * size]);
        self.trades += 1;
    }

    /// Adds ticks of which none is earlier than the one before, nor than any that the bar has.
    #[inline]
    pub(crate) fn add_run(&mut self, ts: &[i64], price: &[f64], size: &[f64]) {
        let (Some(&last_ts), Some(&last)) = (ts.last(), price.last()) else { return };
        self.close_ts = last_ts;
        self.close = last;
        let (mut high, mut low, mut sums) = (self.high, self.low, self.sums);
        for (&price, &size) in price.iter().zip(size) {
            high = if price > high { price } else { high };
            low = if price < low { price } else { low };
            sums.add([size, price * size]);
        }
        (self.high, self.low, self.sums) = (high, low, sums);
        self.trades += ts.len() as u64;
    }

    /// Says what the sizes add up to, where the additions have rounded.
    pub(super) fn set_volume(&mut self, volume: f64) {
        (self.sums.high[0], self.sums.low[0]) = (volume, 0.0);
    }

    /// The same ticks under a larger bucket.
    pub(crate) fn within(mut self, (start, end): (i64, i64)) -> Self {
        self.start = start;
        self.end = end;
        self
    }

    /// Adds a bar that lies inside this one. Where anything was traded, flat bars say nothing.
    pub(crate) fn merge(&mut self, part: &Self) {
        if part.flat || self.flat {
            let complete = self.complete & part.complete;
            if !part.flat {
                *self = part.within((self.start, self.end));
            }
            self.complete = complete;
            return;
        }
        if part.close_ts >= self.close_ts {
            self.close_ts = part.close_ts;
            self.close = part.close;
        }
        if part.open_ts < self.open_ts {
            self.open_ts = part.open_ts;
            self.open = part.open;
        }
        self.high = self.high.max(part.high);
        self.low = self.low.min(part.low);
        self.sums.merge(&part.sums);
        self.trades += part.trades;
        self.complete &= part.complete;
    }

    /// A closed bar taken up again as a part of a larger one. Its own open and close times are not
    /// kept, so it counts as filling its bucket from end to end. `fills` says whether bars without
    /// ticks are filled.
    pub(crate) fn of_closed(bar: &Bar, fills: bool) -> Self {
        let mut open = Self::of_tick((bar.ts, bar.ts_end), bar.ts, bar.open, 0.0);
        open.close_ts = bar.ts_end - 1;
        open.high = bar.high;
        open.low = bar.low;
        open.close = bar.close;
        open.sums.add([bar.volume, if bar.volume == 0.0 { 0.0 } else { bar.vwap * bar.volume }]);
        open.trades = bar.trades;
        open.complete = bar.complete;
        open.flat = fills && bar.looks_flat();
        open
    }

    /// Adds a tick to one of the closed bars inside this one. It is the first or the last of this bar
    /// where an open or a close is given.
    pub(crate) fn amend(&mut self, tick: &Print, open: Option<f64>, close: Option<f64>) {
        if self.flat {
            *self = Self {
                complete: self.complete,
                ..Self::of_tick((self.start, self.end), tick.ts, tick.price, tick.size)
            };
            return;
        }
        self.open = open.unwrap_or(self.open);
        self.close = close.unwrap_or(self.close);
        self.open_ts = self.open_ts.min(tick.ts);
        self.close_ts = self.close_ts.max(tick.ts);
        self.high = self.high.max(tick.price);
        self.low = self.low.min(tick.price);
        self.sums.add([tick.size, tick.price * tick.size]);
        self.trades += 1;
    }

    /// A flat bar at another price.
    pub(crate) fn refill(&mut self, close: f64) {
        *self = Self { complete: self.complete, ..Self::flat((self.start, self.end), close) };
    }

    /// The bar as readers see it.
    pub(crate) fn close(&self) -> Bar {
        let volume = self.sums.get(0);
        Bar {
            ts: self.start,
            ts_end: self.end,
            open: self.open,
            high: self.high,
            low: self.low,
            close: self.close,
            volume,
            vwap: if volume == 0.0 { f64::NAN } else { self.sums.get(1) / volume },
            trades: self.trades,
            complete: self.complete,
            revision: 0,
        }
    }

    /// The bar as readers see it while it is open: not complete, whatever it has seen so far.
    pub(crate) fn so_far(&self) -> Bar {
        Bar { complete: false, ..self.close() }
    }

    /// Number of words of [`to_words`](Self::to_words).
    pub(crate) const WORDS: usize = 14;

    pub(crate) fn to_words(self) -> [u64; Self::WORDS] {
        [
            self.start as u64,
            self.end as u64,
            self.open_ts as u64,
            self.close_ts as u64,
            self.open.to_bits(),
            self.high.to_bits(),
            self.low.to_bits(),
            self.close.to_bits(),
            self.sums.high[0].to_bits(),
            self.sums.high[1].to_bits(),
            self.sums.low[0].to_bits(),
            self.sums.low[1].to_bits(),
            self.trades,
            u64::from(self.complete) | u64::from(self.flat) << 1,
        ]
    }

    pub(crate) fn from_words(words: &[u64]) -> Self {
        let number = |index: usize| f64::from_bits(words[index]);
        Self {
            start: words[0] as i64,
            end: words[1] as i64,
            open_ts: words[2] as i64,
            close_ts: words[3] as i64,
            open: number(4),
            high: number(5),
            low: number(6),
            close: number(7),
            sums: Sums { high: [number(8), number(9)], low: [number(10), number(11)] },
            trades: words[12],
            complete: words[13] & 1 != 0,
            flat: words[13] & 2 != 0,
        }
    }
}

/// What of a tick enters bars.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Print {
    pub(crate) ts: i64,
    pub(crate) price: f64,
    pub(crate) size: f64,
}

impl Bar {
    /// Whether the bar looks as one that was filled without ticks. One that came ready made, from a
    /// source that counts no ticks, may look the same.
    pub(crate) fn looks_flat(&self) -> bool {
        self.trades == 0 && self.volume == 0.0 && self.high == self.low
    }

    /// Adds a tick to a closed bar. It is the first or the last of the bar where an open or a close is
    /// given.
    pub(crate) fn amend(&mut self, tick: &Print, open: Option<f64>, close: Option<f64>) {
        let notional = if self.volume == 0.0 { 0.0 } else { self.vwap * self.volume };
        self.open = open.unwrap_or(self.open);
        self.close = close.unwrap_or(self.close);
        self.high = self.high.max(tick.price);
        self.low = self.low.min(tick.price);
        self.volume += tick.size;
        let volume = self.volume;
        self.vwap =
            if volume == 0.0 { f64::NAN } else { (notional + tick.price * tick.size) / volume };
        self.trades += 1;
        self.revision += 1;
    }

    /// The only tick of a bar that was filled without one.
    pub(crate) fn first_tick(&mut self, tick: &Print) {
        [self.open, self.high, self.low, self.close] = [tick.price; 4];
        self.amend(tick, None, None);
    }

    /// A flat bar at another price.
    pub(crate) fn refill(&mut self, close: f64) {
        [self.open, self.high, self.low, self.close] = [close; 4];
        self.revision += 1;
    }

    /// Number of words of [`to_words`](Self::to_words).
    pub(crate) const WORDS: usize = 10;

    pub(crate) fn to_words(self) -> [u64; Self::WORDS] {
        [
            self.ts as u64,
            self.ts_end as u64,
            self.open.to_bits(),
            self.high.to_bits(),
            self.low.to_bits(),
            self.close.to_bits(),
            self.volume.to_bits(),
            self.vwap.to_bits(),
            self.trades,
            u64::from(self.complete) | u64::from(self.revision) << 1,
        ]
    }

    pub(crate) fn from_words(words: &[u64; Self::WORDS]) -> Self {
        let number = |index: usize| f64::from_bits(words[index]);
        Self {
            ts: words[0] as i64,
            ts_end: words[1] as i64,
            open: number(2),
            high: number(3),
            low: number(4),
            close: number(5),
            volume: number(6),
            vwap: number(7),
            trades: words[8],
            complete: words[9] & 1 != 0,
            revision: (words[9] >> 1) as u32,
        }
    }
}
