//! One hub connection into an engine.
//!
//! A [`Feed`] owns what a connection leaves behind between two payloads: the decoder with a record
//! that was cut, the state that partial quotes build on, and, while the connection overlaps with
//! another, its part in that.

use std::sync::Arc;

use crate::decode::{Decoder, Volumes};
use crate::engine::{Engine, Receipt};
use crate::overlap::{Leg, Overlap};
use crate::record::InstrumentId;

/// See the module documentation.
#[derive(Debug)]
pub struct Feed {
    engine: Arc<Engine>,
    decoder: Decoder,
    overlap: Option<(Arc<Overlap>, Leg)>,
}

/// The feed is in an overlap that has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the feed is still in an overlap; end that one first")]
pub struct Overlapping;

impl Feed {
    /// A feed into `engine`.
    #[must_use]
    pub fn new(engine: Arc<Engine>, decoder: Decoder) -> Self {
        Self { engine, decoder, overlap: None }
    }

    /// Decodes and applies one payload, cut anywhere. `ts_recv` is its arrival, ns UTC, or
    /// [`NO_TIME`](crate::record::NO_TIME).
    pub fn push(&mut self, payload: &[u8], ts_recv: i64) -> Receipt {
        let mut session = self.engine.session();
        let Some((overlap, leg)) = &self.overlap else {
            self.decoder.push(payload, ts_recv, &mut session);
            return session.finish();
        };
        let mut filter = overlap.filter(session, *leg);
        self.decoder.push(payload, ts_recv, &mut filter);
        filter.finish()
    }

    /// Forgets the cut record and the partial quotes of the connection so far: another one follows. The
    /// books that it fed are void until it sends them anew.
    pub fn reset(&mut self) {
        // In an overlap the new connection feeds books that are not the engine's.
        if !matches!(self.overlap, Some((_, Leg::New))) {
            let mut session = self.engine.session();
            self.decoder.fed().for_each(|id| session.lose_book(id, None));
        }
        self.decoder.reset();
        if let Some((overlap, leg)) = &self.overlap {
            overlap.restart(*leg);
        }
    }

    /// From now on this is one of the two feeds of `overlap`. The old one brings along what its engine
    /// holds already.
    ///
    /// # Errors
    /// It is in another one.
    pub fn join(&mut self, overlap: &Arc<Overlap>, leg: Leg) -> Result<(), Overlapping> {
        if self.overlap.is_some() {
            return Err(Overlapping);
        }
        if leg == Leg::Old {
            overlap.remember(&self.engine);
        }
        self.overlap = Some((Arc::clone(overlap), leg));
        Ok(())
    }

    /// The overlap has ended in favour of `survivor`: from now on every tick of this feed counts again,
    /// and the survivor's depth alone makes the books.
    pub fn leave(&mut self, survivor: Leg) {
        let Some((overlap, leg)) = self.overlap.take() else { return };
        if leg != survivor {
            self.decoder.forget_fed();
        } else if leg == Leg::New {
            overlap.hand_over(&self.engine);
        }
    }

    /// Whether nothing can be read until [`reset`](Self::reset); see [`Decoder::is_lost`].
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.decoder.is_lost()
    }

    /// Whether it is in an overlap. A push may then have to wait for the other feed's.
    #[must_use]
    pub fn is_overlapping(&self) -> bool {
        self.overlap.is_some()
    }

    /// The volume that the connection's quotes publish, beside that of the trades it has delivered.
    pub fn volumes(&self) -> impl Iterator<Item = (InstrumentId, Volumes)> {
        self.decoder.volumes()
    }

    /// Bytes of a record that has not ended yet.
    #[must_use]
    pub fn carried_bytes(&self) -> usize {
        self.decoder.carried_bytes()
    }
}
