//! A session as the end of a decoder: what it finds in a payload is applied at once.

use super::Session;
use crate::book::LEAST_SNAPSHOT;
use crate::decode::Sink;
use crate::reason::Reason;
use crate::record::{Depth, InstrumentId, Quote, Trade};

impl Sink for Session<'_> {
    fn resolve(&mut self, contract_id: &str) -> Option<InstrumentId> {
        self.engine.find(contract_id)
    }

    #[inline]
    fn trade(&mut self, instrument: Option<InstrumentId>, trade: &Trade) {
        match instrument {
            Some(id) => drop(self.push_trade(id, trade)),
            None => self.refuse(None, Reason::UnknownInstrument),
        }
    }

    #[inline]
    fn quote(&mut self, instrument: Option<InstrumentId>, quote: &Quote) {
        match instrument {
            Some(id) => drop(self.push_quote(id, quote)),
            None => self.refuse(None, Reason::UnknownInstrument),
        }
    }

    #[inline]
    fn depths(&mut self, instrument: InstrumentId, message: &[Depth]) {
        if message.len() >= LEAST_SNAPSHOT {
            self.update(instrument, |writer, shared| writer.begin_book(shared, message));
        }
    }

    fn depth(&mut self, instrument: Option<InstrumentId>, depth: &Depth) {
        match instrument {
            Some(id) => drop(self.push_depth(id, depth)),
            None => self.refuse(None, Reason::UnknownInstrument),
        }
    }

    fn malformed(&mut self, instrument: Option<InstrumentId>) {
        self.refuse(instrument, Reason::Malformed);
    }

    fn oversize(&mut self) {
        self.refuse(None, Reason::Oversize);
    }

    fn control(&mut self, record: &[u8]) {
        self.receipt.control.push(record.into());
    }
}
