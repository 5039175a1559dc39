//! The JSON hub protocol: records that end in 0x1E.
//!
//! What is not strict JSON (exactly what `serde_json` accepts) is malformed. A record that starts as
//! the gateway's servers write it is read in one pass; any other is checked first and read then.

mod arguments;
mod envelope;
mod framing;

mod scan;

use self::arguments::Unusable;
use self::envelope::Envelope;
pub(super) use self::framing::Records;
use self::scan::Scanner;
use super::event::Events;
use super::{Format, Frame, Malformed, Sink};

impl Format for Records {
    #[inline]
    fn split(&mut self, payload: &[u8], each: impl FnMut(Frame)) {
        self.split(payload, each);
    }

    #[inline]
    fn read<S: Sink>(record: &[u8], events: &mut Events, ts_recv: i64, sink: &mut S) {
        if let Some((event, mut scanner)) = envelope::usual_start(record)
            && let Ok(contract) = arguments::read_arguments(events, event, &mut scanner, ts_recv)
            && scanner.rest == b"}"
        {
            let instrument = events.instrument(contract.raw(), || contract.decoded(), sink);
            return events.emit(event, instrument, ts_recv, sink);
        }
        read_unusual(record, events, ts_recv, sink);
    }
}

/// Any record that does not look exactly as expected, from its start: checked first, read then.
#[inline(never)]
fn read_unusual<S: Sink>(record: &[u8], events: &mut Events, ts_recv: i64, sink: &mut S) {
    let (event, text) = match envelope::read(record) {
        Ok(Envelope::Market(event, text)) => (event, text.unwrap_or_default()),
        Ok(Envelope::Control) => return sink.control(record),
        Err(Malformed) => return sink.malformed(None),
    };
    match arguments::read_arguments(events, event, &mut Scanner::new(text), ts_recv) {
        Ok(contract) => {
            let instrument = events.instrument(contract.raw(), || contract.decoded(), sink);
            events.emit(event, instrument, ts_recv, sink);
        }
        Err(Unusable { contract }) => {
            let instrument = contract.and_then(|contract| {
                events.instrument(contract.raw(), || contract.decoded(), sink)
            });
            sink.malformed(instrument);
        }
    }
}
