//! What becomes of an instrument of which an update fails inside.
//!
//! # Contract
//! - A panic in the middle of an update leaves readers with the state before it: what the session had
//!   done to the instrument since the last publication is never published. (Ticks that a full ring
//!   has overwritten meanwhile are gone, as ever.)
//! - The instrument is stopped then. Half an update cannot be undone, nor be told from a whole one by
//!   the next; bars made of it would be wrong. Every later tick is rejected as `stopped`, history is
//!   refused with an error, and what was published stays readable. Other instruments go on.
//! - A panic between two updates, as in a decoder, stops nothing and loses nothing.
//!
//! Such a panic is a defect of this crate; the call in which it happens reports it.

use super::publish::Activity;
use super::{Instrument, Shared, Writer};
use crate::layout;
use crate::reason::Reason;
use std::sync::MutexGuard;

impl Instrument {
    /// Takes over the lock of a thread that panicked while it held it.
    #[cold]
    pub(super) fn recover<'a>(
        &'a self,
        mut writer: MutexGuard<'a, Writer>,
    ) -> MutexGuard<'a, Writer> {
        if writer.busy {
            writer.stop(&self.shared);
        }
        self.writer.clear_poison();
        writer
    }
}

impl Writer {
    /// Takes the counts back to what was published, and applies nothing any more.
    fn stop(&mut self, shared: &Shared) {
        self.cell = shared.view.load().cell.clone();
        let mut words = Vec::new();
        self.cell.read(&mut words);
        self.stopped = Some(words[layout::ACCEPTED]);
        self.rejected.copy_from_slice(&words[layout::REJECTED..layout::FLAGGED]);
        self.rejected_total = self.rejected.iter().sum();
        self.duplicates = words[layout::DUPLICATES];
        (self.busy, self.install) = (false, None);
        // Readers keep the rings; without a writer no batch takes the short way.
        (self.trade_ring, self.quote_ring) = (None, None);
        self.book = None;
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.is_some()
    }

    /// Counts a tick that comes after an update has failed.
    #[cold]
    pub(super) fn refuse_stopped(&mut self) -> Result<(), Reason> {
        self.refuse(Reason::Stopped);
        Err(Reason::Stopped)
    }

    /// Shows how many ticks were refused since; nothing else has changed.
    #[cold]
    pub(super) fn publish_stopped(&mut self) -> Activity {
        let (accepted, rejected) = self.counts();
        let mut update = self.cell.update();
        update.set(layout::RECEIVED, accepted + rejected);
        update.set(layout::DUPLICATES, self.duplicates);
        update.set_all(layout::REJECTED, &self.rejected);
        drop(update);
        Activity::default()
    }
}

#[cfg(test)]
mod tests {
    use crate::bars::{Empty, Late, Source};
    use crate::engine::Engine;
    use crate::instrument::{Spec, fault};
    use crate::reason::Reason;
    use crate::record::{InstrumentId, Side, Trade};
    use crate::snapshot::Snapshot;
    use crate::subscription::{Interest, Subscription};

    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Arc;

    const SECOND: i64 = 1_000_000_000;
    const IDS: [InstrumentId; 2] = [InstrumentId(0), InstrumentId(1)];

    fn engine() -> Arc<Engine> {
        let spec = |symbol: &str| Spec {
            late: Late::Revise { horizon_ns: 60 * SECOND },
            empty: Empty::Flat { limit: 100, hours: None },
            ..Spec::new(symbol, 0.25)
        };
        let timeframes: Vec<_> =
            ["1s", "5s"].iter().flat_map(|text| text.parse()).map(|one| (one, 100)).collect();
        Arc::new(Engine::new(vec![spec("A"), spec("B")], &timeframes))
    }

    /// A trade at so many tenths of a second.
    fn trade(tenths: i64) -> Trade {
        let ts = tenths * SECOND / 10;
        Trade { ts_event: ts, ts_recv: ts, price: 100.0, size: 1.0, side: Side::None }
    }

    /// Everything that readers can see.
    fn seen(engine: &Engine, id: InstrumentId) -> String {
        let show = |cut: Snapshot| {
            let bars = [0, 1].map(|level| {
                (
                    cut.batches(Source::Trade, level, None, None, true).ok(),
                    cut.closed_bar(Source::Trade, level),
                    cut.open_bars(Source::Trade, level),
                )
            });
            let counters = cut.counters();
            let times = (cut.closing_time(Source::Trade), cut.clock_offset_ns());
            format!("{bars:?} {counters:?} {times:?} {:?}", cut.trade())
        };
        format!("{} {:?}", show(engine.snapshot(id)), engine.trades(id, 100))
    }

    fn push(engine: &Engine, id: InstrumentId, tenths: impl IntoIterator<Item = i64>) {
        let mut session = engine.session();
        for tenths in tenths {
            let _ = session.push_trade(id, &trade(tenths));
        }
    }

    #[test]
    fn readers_keep_the_state_before_an_update_that_failed() {
        for place in ["ring", "bars", "closing", "revision", "publication"] {
            let engine = engine();
            let interest = Interest {
                instruments: IDS.to_vec(),
                levels: vec![0, 1],
                source: Source::Trade,
                trades: true,
                quotes: false,
                hours: Vec::new(),
                capacity: 100,
            };
            let mut subscription = Subscription::new(&engine, &interest);
            IDS.iter().for_each(|&id| push(&engine, id, (0..40).step_by(3)));
            subscription.poll();
            let before = IDS.map(|id| seen(&engine, id));

            fault::arm(place);
            let failed = catch_unwind(AssertUnwindSafe(|| {
                // Ordinary ticks, one that is late, and one that closes five seconds.
                push(&engine, IDS[0], [40, 43, 21, 61, 62]);
            }));
            assert!(failed.is_err(), "{place}");
            assert_eq!(IDS.map(|id| seen(&engine, id)), before, "{place}");
            assert!(subscription.poll().is_empty(), "{place}");

            let counts = engine.snapshot(IDS[0]).counters();
            let mut session = engine.session();
            assert_eq!(session.push_trade(IDS[0], &trade(70)), Err(Reason::Stopped), "{place}");
            session.advance(100 * SECOND);
            assert!(session.push_bars(IDS[0], Source::Trade, 0, Vec::new(), true).is_err());
            assert!(session.mark_gap(IDS[0], Some(0), SECOND).is_ok());
            assert_eq!(session.finish().rejected, 1, "{place}");
            let after = engine.snapshot(IDS[0]).counters();
            assert_eq!(after.received, counts.received + 1);
            assert_eq!(after.rejected[Reason::Stopped as usize], 1);
            assert_eq!(after.received, after.accepted + after.rejected_total());
            assert_eq!(engine.trades(IDS[0], 100).1.len() as u64, after.trades, "{place}");

            // The other one has gone on.
            push(&engine, IDS[1], [1001]);
            assert_eq!(engine.snapshot(IDS[1]).counters().trades, 15, "{place}");
        }
    }

    #[test]
    fn a_batch_that_failed_is_stopped_as_well() {
        let engine = engine();
        push(&engine, IDS[0], 0..20);
        let before = seen(&engine, IDS[0]);
        let ts: Vec<i64> = (20..400).map(|tenths| tenths * SECOND / 10).collect();
        let ones = vec![1.0; ts.len()];
        let columns = crate::columns::TradeColumns {
            ts_event: &ts,
            ts_recv: None,
            price: &ones.iter().map(|one| one * 100.0).collect::<Vec<_>>(),
            size: &ones,
            side: None,
        };
        fault::arm("closing");
        let failed = catch_unwind(AssertUnwindSafe(|| {
            engine.session().push_trades(IDS[0], &columns);
        }));
        assert!(failed.is_err());
        assert_eq!(seen(&engine, IDS[0]), before);
        let mut session = engine.session();
        session.push_trades(IDS[0], &columns);
        assert_eq!(session.finish().rejected, 380);
    }

    #[test]
    fn a_panic_between_two_updates_stops_nothing() {
        let engine = engine();
        let failed = catch_unwind(AssertUnwindSafe(|| {
            let mut session = engine.session();
            let _ = session.push_trade(IDS[0], &trade(1));
            panic!("the decoder has a defect");
        }));
        assert!(failed.is_err());
        assert_eq!(engine.snapshot(IDS[0]).counters().trades, 1);
        push(&engine, IDS[0], [2]);
        assert_eq!(engine.snapshot(IDS[0]).counters().trades, 2);
    }
}
