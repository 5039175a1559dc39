//! Messages behind their lengths, out of payloads that are cut anywhere.
//!
//! A length is a number of seven bits a byte, lowest first, in one to five bytes, and at most 2 GiB.
//! Anything else is no length, and from there on nothing tells where a message begins: the stream is
//! *lost* until the connection is made anew.

use crate::decode::Frame;

/// What the protocol allows a message at most.
const MAX_LENGTH: u64 = i32::MAX as u64;
/// What the protocol allows a length at most.
const MAX_PREFIX_BYTES: u32 = 5;

/// Where in a stream of messages the last payload ended.
#[derive(Clone, Debug)]
pub(in crate::decode) struct Messages {
    max_bytes: usize,
    place: Place,
    /// The start of a message whose end has not arrived. It grows by what arrives, not by what a
    /// length promises.
    carried: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    /// Before a length or inside of one: what it says so far, in how many bytes.
    Length { value: u64, bytes: u32 },
    /// Inside a message of this length.
    Message { length: usize },
    /// Inside a message that was refused for its length, so many bytes before its end.
    Refused { left: u64 },
    /// Anywhere.
    Lost,
}

const START: Place = Place::Length { value: 0, bytes: 0 };

impl Messages {
    /// Messages of at most `max_bytes`, their lengths not counted.
    pub(in crate::decode) fn new(max_bytes: usize) -> Self {
        Self { max_bytes, place: START, carried: Vec::new() }
    }

    pub(in crate::decode) fn reset(&mut self) {
        *self = Self::new(self.max_bytes);
    }

    pub(in crate::decode) fn carried_bytes(&self) -> usize {
        self.carried.len()
    }

    pub(in crate::decode) fn is_lost(&self) -> bool {
        matches!(self.place, Place::Lost)
    }

    /// Calls back for each message that ends in `payload` and keeps the start of the one that does not.
    #[inline]
    pub(super) fn split(&mut self, payload: &[u8], mut each: impl FnMut(Frame)) {
        let mut rest = payload;
        while !rest.is_empty() {
            match self.place {
                Place::Length { value, bytes } => {
                    self.place = after_length_byte(value, bytes, rest[0]);
                    rest = &rest[1..];
                    match self.place {
                        Place::Lost => each(Frame::Lost),
                        // It is over before it began, and no byte may follow.
                        Place::Message { length: 0 } => self.end(&[], &mut each),
                        Place::Message { length } if length > self.max_bytes => {
                            self.place = Place::Refused { left: length as u64 };
                            each(Frame::Oversize);
                        }
                        _ => {}
                    }
                }
                Place::Message { length } => {
                    let missing = length - self.carried.len();
                    if rest.len() < missing {
                        return self.carried.extend_from_slice(rest);
                    }
                    self.end(&rest[..missing], &mut each);
                    rest = &rest[missing..];
                }
                Place::Refused { left } => {
                    let skipped = left.min(rest.len() as u64);
                    self.place = if skipped < left {
                        Place::Refused { left: left - skipped }
                    } else {
                        START
                    };
                    rest = &rest[skipped as usize..];
                }
                Place::Lost => return,
            }
        }
    }

    /// Ends a message, perhaps one that earlier payloads began.
    #[inline]
    fn end(&mut self, end: &[u8], each: &mut impl FnMut(Frame)) {
        self.place = START;
        if self.carried.is_empty() {
            return each(Frame::Record(end));
        }
        self.carried.extend_from_slice(end);
        each(Frame::Record(&self.carried));
        // The memory is kept for the next one.
        self.carried.clear();
    }
}

/// Where the stream stands behind the next byte of a length.
#[inline]
fn after_length_byte(value: u64, bytes: u32, byte: u8) -> Place {
    let value = value | u64::from(byte & 0x7f) << (7 * bytes);
    let bytes = bytes + 1;
    match (byte & 0x80 != 0, usize::try_from(value)) {
        (true, _) if bytes < MAX_PREFIX_BYTES => Place::Length { value, bytes },
        (false, Ok(length)) if value <= MAX_LENGTH => Place::Message { length },
        _ => Place::Lost,
    }
}
