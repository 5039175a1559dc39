//! MessagePack values out of one message.
//!
//! The reader builds nothing: scalars come as they are, text as a piece of the message, containers
//! as the number of values in them. It allocates nothing, calls nothing recursively and touches each
//! byte once, whatever the lengths in the message claim. Text is not checked to be UTF-8.

use crate::decode::event::Number;
use crate::decode::{Malformed, number};

/// One value, or the start of a container.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'a> {
    Nil,
    Bool,
    Signed(i64),
    Unsigned(u64),
    Float(f64),
    Text(&'a [u8]),
    Binary,
    /// Its type and its bytes.
    Extension(i8, &'a [u8]),
    /// The number of its elements, which follow.
    Array(u32),
    /// The number of its members, each of which follows as a name and a value.
    Map(u32),
}

impl Value<'_> {
    /// How many values follow that are parts of this one.
    #[inline]
    fn parts(&self) -> u64 {
        match *self {
            Self::Array(elements) => u64::from(elements),
            Self::Map(members) => 2 * u64::from(members),
            _ => 0,
        }
    }
}

/// A position in a message. Every method starts at it and leaves it behind what was read; after an
/// error the position means nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    #[inline]
    pub(super) fn new(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    #[inline]
    pub(super) fn at_end(&self) -> bool {
        self.rest.is_empty()
    }

    #[inline(always)]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (array, rest) = self.rest.split_first_chunk().ok_or(Malformed)?;
        self.rest = rest;
        Ok(*array)
    }

    #[inline(always)]
    fn bytes(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or(Malformed)?;
        self.rest = rest;
        Ok(bytes)
    }

    /// Lengths of one, two and four bytes.
    #[inline(always)]
    fn length8(&mut self) -> Result<usize, Malformed> {
        Ok(usize::from(u8::from_be_bytes(self.array()?)))
    }

    #[inline(always)]
    fn length16(&mut self) -> Result<usize, Malformed> {
        Ok(usize::from(u16::from_be_bytes(self.array()?)))
    }

    #[inline(always)]
    fn length32(&mut self) -> Result<usize, Malformed> {
        usize::try_from(u32::from_be_bytes(self.array()?)).map_err(|_| Malformed)
    }

    fn extension(&mut self, length: usize) -> Result<Value<'a>, Malformed> {
        let [kind] = self.array()?;
        Ok(Value::Extension(kind.cast_signed(), self.bytes(length)?))
    }

    /// The next value.
    #[inline(always)]
    pub(super) fn value(&mut self) -> Result<Value<'a>, Malformed> {
        let (marker, rest) = self.rest.split_first().ok_or(Malformed)?;
        self.rest = rest;
        match marker {
            0x00..=0x7f => Ok(Value::Unsigned(u64::from(*marker))),
            0x80..=0x8f => Ok(Value::Map(u32::from(marker & 0x0f))),
            0x90..=0x9f => Ok(Value::Array(u32::from(marker & 0x0f))),
            0xa0..=0xbf => self.bytes(usize::from(marker & 0x1f)).map(Value::Text),
            0xcb => Ok(Value::Float(f64::from_be_bytes(self.array()?))),
            _ => self.less_common_value(*marker),
        }
    }

    /// The value behind a marker that is not seen in every message.
    #[inline(never)]
    fn less_common_value(&mut self, marker: u8) -> Result<Value<'a>, Malformed> {
        Ok(match marker {
            0xc0 => Value::Nil,
            0xc2 | 0xc3 => Value::Bool,
            0xc4 => self.length8().and_then(|length| self.bytes(length)).map(|_| Value::Binary)?,
            0xc5 => self.length16().and_then(|length| self.bytes(length)).map(|_| Value::Binary)?,
            0xc6 => self.length32().and_then(|length| self.bytes(length)).map(|_| Value::Binary)?,
            0xc7 => self.length8().and_then(|length| self.extension(length))?,
            0xc8 => self.length16().and_then(|length| self.extension(length))?,
            0xc9 => self.length32().and_then(|length| self.extension(length))?,
            0xca => Value::Float(f64::from(f32::from_be_bytes(self.array()?))),
            0xcc => Value::Unsigned(u64::from(u8::from_be_bytes(self.array()?))),
            0xcd => Value::Unsigned(u64::from(u16::from_be_bytes(self.array()?))),
            0xce => Value::Unsigned(u64::from(u32::from_be_bytes(self.array()?))),
            0xcf => Value::Unsigned(u64::from_be_bytes(self.array()?)),
            0xd0 => Value::Signed(i64::from(i8::from_be_bytes(self.array()?))),
            0xd1 => Value::Signed(i64::from(i16::from_be_bytes(self.array()?))),
            0xd2 => Value::Signed(i64::from(i32::from_be_bytes(self.array()?))),
            0xd3 => Value::Signed(i64::from_be_bytes(self.array()?)),
            0xd4..=0xd8 => self.extension(1 << (marker - 0xd4))?,
            0xd9 => Value::Text(self.length8().and_then(|length| self.bytes(length))?),
            0xda => Value::Text(self.length16().and_then(|length| self.bytes(length))?),
            0xdb => Value::Text(self.length32().and_then(|length| self.bytes(length))?),
            0xdc => Value::Array(u32::from(u16::from_be_bytes(self.array()?))),
            0xdd => Value::Array(u32::from_be_bytes(self.array()?)),
            0xde => Value::Map(u32::from(u16::from_be_bytes(self.array()?))),
            0xdf => Value::Map(u32::from_be_bytes(self.array()?)),
            0xe0..=0xff => Value::Signed(i64::from(marker.cast_signed())),
            // The one marker that the format leaves without a meaning, and those that are common.
            _ => return Err(Malformed),
        })
    }

    /// Moves past `bytes` if they are next.
    #[inline(always)]
    pub(super) fn eat(&mut self, bytes: &[u8]) -> bool {
        match self.rest.strip_prefix(bytes) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// Moves past a name if it is next, in the encoding that every name of up to 31 bytes has.
    #[inline(always)]
    pub(super) fn eat_name(&mut self, name: &str) -> bool {
        let length = name.len();
        match self.rest {
            [marker, rest @ ..]
                if usize::from(*marker) == 0xa0 | length
                    && rest.len() >= length
                    && same_name(&rest[..length], name) =>
            {
                self.rest = &rest[length..];
                true
            }
            _ => false,
        }
    }

    /// Skips the next values, checking them.
    #[inline(never)]
    pub(super) fn skip(&mut self, values: u64) -> Result<(), Malformed> {
        let mut left = values;
        while left > 0 {
            // A value takes a byte at least, so a container that claims more is cut.
            if left > self.rest.len() as u64 {
                return Err(Malformed);
            }
            left = left - 1 + self.value()?.parts();
        }
        Ok(())
    }

    /// Skips what is in a value that was just read.
    #[inline(always)]
    pub(super) fn skip_parts(&mut self, value: &Value) -> Result<(), Malformed> {
        let parts = value.parts();
        if parts == 0 { Ok(()) } else { self.skip(parts) }
    }

    /// Skips the next value, checking it.
    #[inline(always)]
    pub(super) fn skip_one(&mut self) -> Result<(), Malformed> {
        let value = self.value()?;
        self.skip_parts(&value)
    }

    /// A value that should be a finite number, or one as decimal text.
    #[inline(always)]
    pub(super) fn number(&mut self) -> Result<Number, Malformed> {
        #[allow(clippy::cast_precision_loss, reason = "the nearest double, as from decimal text")]
        match self.value()? {
            Value::Float(value) if value.is_finite() => Ok(Number::Is(value)),
            Value::Unsigned(value) => Ok(Number::Is(value as f64)),
            Value::Signed(value) => Ok(Number::Is(value as f64)),
            Value::Nil => Ok(Number::Absent),
            Value::Text(text) => Ok(decimal(text)),
            other => self.skip_parts(&other).map(|()| Number::Wrong),
        }
    }
}

#[inline(never)]
fn decimal(text: &[u8]) -> Number {
    match number::read(text) {
        (value, length) if length > 0 && length == text.len() => Number::Is(value),
        _ => Number::Wrong,
    }
}

/// Whether a name is `known`, whose first letter is a small one, or the same with a capital.
#[inline(always)]
pub(super) fn same_name(name: &[u8], known: &str) -> bool {
    match (name, known.as_bytes()) {
        ([first, name @ ..], [known_first, known @ ..]) => {
            first | 0x20 == *known_first && name == known
        }
        _ => false,
    }
}
