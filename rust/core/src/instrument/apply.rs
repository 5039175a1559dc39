//! Ticks on their way into the ring and the bars: checked first, then applied.

use super::{Shared, Writer, fault};
use crate::bars::Source;
use crate::bars::watermark::JUMP_NS;
use crate::columns::{BLOCK, Block, TradeColumns};
use crate::reason::Reason;
use crate::record::{NO_TIME, Quote, Side, Tick, Trade};
use crate::ring;
use crate::validate::{Flags, Rules};
use std::ops::Range;

impl Writer {
    /// Checks a trade and applies it.
    #[inline]
    pub(crate) fn trade(&mut self, shared: &Shared, trade: &Trade) -> Result<(), Reason> {
        if self.stopped.is_some() {
            return self.refuse_stopped();
        }
        if trade.ts_event == NO_TIME {
            return self.undated_trade(shared, trade);
        }
        self.dated_trade(shared, trade)
    }

    /// Checks and applies columns of trades; the same as [`trade`](Self::trade) for every row.
    pub(crate) fn trades(
        &mut self,
        shared: &Shared,
        columns: &TradeColumns<'_>,
        rows: Range<usize>,
    ) {
        for first in rows.clone().step_by(BLOCK) {
            match columns.block(first, rows.end) {
                Some(block) if self.accepts(&block) => self.block(shared, &block),
                _ => {
                    for row in first..rows.end.min(first + BLOCK) {
                        let _ = self.trade(shared, &columns.row(row));
                    }
                }
            }
        }
    }

    /// Whether every trade of the block is ordinary; if so, the checks have taken note of it.
    #[inline]
    fn accepts(&mut self, block: &Block<'_>) -> bool {
        let first = block.ts_event[0];
        block.is_steady(JUMP_NS)
            && first >= self.trades.closed_until
            && self.trades.watermark.follows(first)
            && self.trade_ring.is_some()
            && self.trade_checks.block(block)
    }

    /// Applies a block that was accepted.
    #[inline]
    fn block(&mut self, shared: &Shared, block: &Block<'_>) {
        self.dirty = true;
        if let Some(ring) = &mut self.trade_ring {
            ring.push_all::<BLOCK>(|row| {
                let trade = Trade {
                    ts_event: block.ts_event[row],
                    ts_recv: NO_TIME,
                    price: block.price[row],
                    size: block.size[row],
                    side: block.side.map_or(Side::None, |column| Side::from_sign(column[row])),
                };
                trade.to_words()
            });
        }
        let time = self.trades.watermark.believed(block.ts_event[0]);
        let mut row = 0;
        while row < BLOCK {
            let (ts, price, size) =
                (&block.ts_event[row..], &block.price[row..], &block.size[row..]);
            let mut count = 0;
            if let [track] = self.trades.tracks.as_mut_slice() {
                count = track.add_run(ts, price, size);
            }
            if count == 0 {
                for track in &mut self.trades.tracks {
                    track.add(ts[0], price[0], size[0]);
                }
                count = 1;
            }
            row += count;
            let closing_time = self.trades.watermark.observe(block.ts_event[row - 1], NO_TIME);
            self.trades.close(closing_time, &shared.view);
        }
        self.trades.measure_block(time, block, &shared.view);
    }

    // Apart, because only here the trade has to be copied.
    #[cold]
    fn undated_trade(&mut self, shared: &Shared, trade: &Trade) -> Result<(), Reason> {
        let ts_event = if shared.spec.stamp_arrival { trade.ts_recv } else { NO_TIME };
        self.dated_trade(shared, &Trade { ts_event, ..*trade })
    }

    #[inline]
    fn dated_trade(&mut self, shared: &Shared, trade: &Trade) -> Result<(), Reason> {
        self.dirty = true;
        let late = self.trades.is_late(trade.ts_event);
        let closed_until = if late { self.trades.limit(trade.ts_event, shared) } else { NO_TIME };
        let checked = self.trade_checks.trade(trade, closed_until);
        if !matches!(checked, Ok(Flags::NONE)) {
            self.judge(shared, checked, Tick::Trade(*trade))?;
        }

        let ring = self.trade_ring.get_or_insert_with(|| {
            let ring = ring::ring(shared.spec.capacity);
            let _ = shared.trades.set(ring.reader());
            ring
        });
        ring.push(trade.to_words());
        fault::point("ring");
        if late {
            self.trades.revise(trade.ts_event, trade.size, |_| trade.price, shared);
            self.amend();
        } else {
            for track in &mut self.trades.tracks {
                track.add(trade.ts_event, trade.price, trade.size);
            }
        }
        fault::point("bars");
        // After the tick is in: one that confirms a jump may itself lie before the new closing time.
        let arrival = self.trade_checks.venue_time(trade.ts_recv);
        let closing_time = self.trades.watermark.observe(trade.ts_event, arrival);
        self.trades.close(closing_time, &shared.view);
        self.trades.measure(trade.ts_event, trade.size, |_| trade.price, &shared.view);
        Ok(())
    }

    /// Checks a quote and applies it.
    #[inline]
    pub(crate) fn quote(&mut self, shared: &Shared, quote: &Quote) -> Result<(), Reason> {
        if self.stopped.is_some() {
            return self.refuse_stopped();
        }
        if quote.ts_event == NO_TIME {
            return self.undated_quote(shared, quote);
        }
        self.dated_quote(shared, quote)
    }

    #[cold]
    fn undated_quote(&mut self, shared: &Shared, quote: &Quote) -> Result<(), Reason> {
        let ts_event = if shared.spec.stamp_arrival { quote.ts_recv } else { NO_TIME };
        self.dated_quote(shared, &Quote { ts_event, ..*quote })
    }

    #[inline]
    fn dated_quote(&mut self, shared: &Shared, quote: &Quote) -> Result<(), Reason> {
        self.dirty = true;
        let late = self.quotes.is_late(quote.ts_event);
        let closed_until = if late { self.quotes.limit(quote.ts_event, shared) } else { NO_TIME };
        let checked = self.quote_checks.quote(quote, closed_until);
        if !matches!(checked, Ok(Flags::NONE)) {
            self.judge(shared, checked, Tick::Quote(*quote))?;
        }

        let ring = self.quote_ring.get_or_insert_with(|| {
            let ring = ring::ring(shared.spec.capacity);
            let _ = shared.quotes.set(ring.reader());
            ring
        });
        ring.push(quote.to_words());
        if late {
            self.quotes.revise(quote.ts_event, 0.0, |source| source.of_quote(quote), shared);
            self.amend();
        } else {
            for track in &mut self.quotes.tracks {
                let price = track.source.of_quote(quote);
                if !price.is_nan() {
                    track.add(quote.ts_event, price, 0.0);
                }
            }
        }
        if let Some(book) = &mut self.book {
            book.quote(quote);
        }
        let arrival = self.quote_checks.venue_time(quote.ts_recv);
        let closing_time = self.quotes.watermark.observe(quote.ts_event, arrival);
        self.quotes.close(closing_time, &shared.view);
        let price = |source: Source| source.of_quote(quote);
        self.quotes.measure(quote.ts_event, 0.0, price, &shared.view);
        Ok(())
    }

    /// Counts a tick that could not be read.
    pub(crate) fn refuse(&mut self, reason: Reason) {
        self.dirty = true;
        self.reject(reason);
    }

    /// Counts a late tick that has changed closed bars.
    #[cold]
    fn amend(&mut self) {
        self.amended = true;
        self.revised += 1;
    }

    /// Judges all later ticks by other rules.
    pub(crate) fn set_rules(&mut self, rules: &Rules) {
        self.trade_checks.set_rules(rules.clone());
        self.quote_checks.set_rules(rules.clone());
    }

    /// Counts a tick that another connection has brought before.
    pub(crate) fn duplicate(&mut self) {
        self.dirty = true;
        self.duplicates += 1;
    }

    /// Ticks applied and ticks refused so far. Every tick that was applied is in a ring, or a counted
    /// depth delta.
    pub(crate) fn counts(&self) -> (u64, u64) {
        if let Some(accepted) = self.stopped {
            return (accepted, self.rejected_total);
        }
        let trades = self.trade_ring.as_ref().map_or(0, ring::Writer::next);
        let quotes = self.quote_ring.as_ref().map_or(0, ring::Writer::next);
        (trades + quotes + self.depth_count, self.rejected_total)
    }

    /// Counts and keeps a tick of which there is something to say.
    #[cold]
    pub(super) fn judge(
        &mut self,
        shared: &Shared,
        checked: Result<Flags, Reason>,
        tick: Tick,
    ) -> Result<(), Reason> {
        let flags = match checked {
            Ok(flags) => flags,
            Err(reason) => {
                self.reject(reason);
                self.kept_rejected.push(&shared.rejected, tick, reason);
                return Err(reason);
            }
        };
        self.judged = true;
        for reason in flags.iter() {
            self.flagged[reason as usize] += 1;
            self.kept_flagged.push(&shared.flagged, tick, reason);
        }
        if flags.has_reverted() {
            let checks = if matches!(tick, Tick::Trade(_)) {
                &self.trade_checks
            } else {
                &self.quote_checks
            };
            for &tick in checks.spike() {
                self.flagged[Reason::Spike as usize] += 1;
                self.kept_flagged.push(&shared.flagged, tick, Reason::Spike);
            }
        }
        Ok(())
    }

    #[cold]
    fn reject(&mut self, reason: Reason) {
        self.judged = true;
        self.rejected[reason as usize] += 1;
        self.rejected_total += 1;
    }

    /// Closes every bar that ends at or before `now_ns`, in both streams.
    pub(crate) fn advance(&mut self, shared: &Shared, now_ns: i64) {
        if self.stopped.is_some() {
            return;
        }
        for stream in [&mut self.trades, &mut self.quotes] {
            let closing_time = stream.watermark.advance(now_ns);
            stream.close(closing_time, &shared.view);
        }
        self.dirty = true;
    }
}
