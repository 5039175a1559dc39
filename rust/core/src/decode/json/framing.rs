//! Records that end in 0x1E, out of payloads that are cut anywhere.

use memchr::memchr;

use crate::decode::Frame;

/// Ends every record. It cannot occur inside of one: JSON has no place for control characters.
const TERMINATOR: u8 = 0x1e;

/// Where in a stream of records the last payload ended.
#[derive(Clone, Debug)]
pub(in crate::decode) struct Records {
    max_bytes: usize,
    /// The start of a record whose end has not arrived.
    carried: Vec<u8>,
    /// Inside a record that was refused for its length.
    skipping: bool,
}

impl Records {
    /// Records of at most `max_bytes`, terminator not counted.
    pub(in crate::decode) fn new(max_bytes: usize) -> Self {
        Self { max_bytes, carried: Vec::new(), skipping: false }
    }

    pub(in crate::decode) fn reset(&mut self) {
        *self = Self::new(self.max_bytes);
    }

    pub(in crate::decode) fn carried_bytes(&self) -> usize {
        self.carried.len()
    }

    /// Calls back for each record that ends in `payload` and keeps the start of the one that does not.
    #[inline]
    pub(super) fn split(&mut self, payload: &[u8], mut each: impl FnMut(Frame)) {
        let mut rest = payload;
        if self.skipping || !self.carried.is_empty() {
            let Some(end) = memchr(TERMINATOR, rest) else {
                return self.carry(rest, &mut each);
            };
            self.finish_carried(&rest[..end], &mut each);
            rest = &rest[end + 1..];
        }
        while let Some(end) = memchr(TERMINATOR, rest) {
            let record = &rest[..end];
            each(if record.len() > self.max_bytes {
                Frame::Oversize
            } else {
                Frame::Record(record)
            });
            rest = &rest[end + 1..];
        }
        self.carry(rest, &mut each);
    }

    /// Keeps the start of a record, or refuses it if it is too long already.
    fn carry(&mut self, start: &[u8], each: &mut impl FnMut(Frame)) {
        if self.skipping || start.is_empty() {
            return;
        }
        if self.carried.len() + start.len() > self.max_bytes {
            self.carried.clear();
            self.skipping = true;
            each(Frame::Oversize);
        } else {
            self.carried.extend_from_slice(start);
        }
    }

    /// Ends the record that earlier payloads began.
    fn finish_carried(&mut self, end: &[u8], each: &mut impl FnMut(Frame)) {
        self.carry(end, each);
        if !std::mem::take(&mut self.skipping) {
            each(Frame::Record(&self.carried));
            // The memory is kept for the next one.
            self.carried.clear();
        }
    }
}
