//! A strict JSON scanner over one record.
//!
//! It accepts exactly what `serde_json` accepts: the grammar of RFC 8259, UTF-8 inside strings,
//! paired surrogates, numbers that a double can hold, and at most [`MAX_DEPTH`] containers inside
//! one another. It builds no values: the caller picks the members it wants and has the others
//! skipped, which checks them just as strictly.

use std::borrow::Cow;

use crate::decode::event::Number;
use crate::decode::{Malformed, number};

/// Containers that may be open at once, the record itself included.
pub(super) const MAX_DEPTH: u32 = 127;

/// The inside of a JSON string, proven to be well-formed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text<'a> {
    raw: &'a [u8],
    escaped: bool,
}

impl<'a> Text<'a> {
    /// The bytes the string stands for, valid UTF-8.
    #[inline]
    pub(super) fn decoded(self) -> Cow<'a, [u8]> {
        if self.escaped { Cow::Owned(unescape(self.raw)) } else { Cow::Borrowed(self.raw) }
    }

    /// The bytes between the quotes, escapes and all.
    #[inline]
    pub(super) fn raw(self) -> &'a [u8] {
        self.raw
    }
}

/// A position in a record. Every method starts at it and leaves it behind what was read; after an
/// error the position means nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scanner<'a> {
    pub(super) rest: &'a [u8],
}

impl<'a> Scanner<'a> {
    #[inline]
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self { rest: text }
    }

    #[inline]
    pub(super) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    #[inline]
    fn next(&mut self) -> Result<u8, Malformed> {
        let (first, rest) = self.rest.split_first().ok_or(Malformed)?;
        self.rest = rest;
        Ok(*first)
    }

    /// Moves past `literal` if it is next.
    #[inline(always)]
    pub(super) fn eat(&mut self, literal: &[u8]) -> bool {
        match self.rest.strip_prefix(literal) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    #[inline]
    pub(super) fn skip_whitespace(&mut self) {
        while let [b' ' | b'\n' | b'\t' | b'\r', rest @ ..] = self.rest {
            self.rest = rest;
        }
    }

    /// Whether nothing but whitespace is left.
    pub(super) fn at_end(mut self) -> bool {
        self.skip_whitespace();
        self.rest.is_empty()
    }

    /// Reads a string from behind its opening quote to behind its closing one.
    #[inline]
    pub(super) fn string_tail(&mut self) -> Result<Text<'a>, Malformed> {
        let start = self.rest;
        let mut rest = start;
        while let Some(chunk) = rest.first_chunk::<8>() {
            let special = special_bytes(u64::from_le_bytes(*chunk));
            if special != 0 {
                rest = &rest[(special.trailing_zeros() / 8) as usize..];
                break;
            }
            rest = &rest[8..];
        }
        loop {
            match rest {
                [b'"', after @ ..] => {
                    let raw = &start[..start.len() - rest.len()];
                    self.rest = after;
                    return Ok(Text { raw, escaped: false });
                }
                [b'\\' | 0x80..=0xff, ..] => return self.uncommon_string_tail(rest),
                [0x20..=0x7f, after @ ..] => rest = after,
                _ => return Err(Malformed),
            }
        }
    }

    /// The cold half of [`Self::string_tail`]: from the first escape or byte beyond ASCII on.
    #[cold]
    fn uncommon_string_tail(&mut self, from: &'a [u8]) -> Result<Text<'a>, Malformed> {
        let start = self.rest;
        let mut escaped = false;
        self.rest = from;
        loop {
            match self.next()? {
                b'"' => break,
                b'\\' => {
                    escaped = true;
                    self.check_escape()?;
                }
                0x20.. => {}
                _ => return Err(Malformed),
            }
        }
        // No escape can complete a cut sequence, so the raw bytes are valid if and only if the
        // decoded ones are.
        let raw = &start[..start.len() - self.rest.len() - 1];
        std::str::from_utf8(raw).map_err(|_| Malformed)?;
        Ok(Text { raw, escaped })
    }

    fn check_escape(&mut self) -> Result<(), Malformed> {
        match self.next()? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Ok(()),
            b'u' => match self.hex4()? {
                0xdc00..=0xdfff => Err(Malformed),
                0xd800..=0xdbff => {
                    let paired = self.eat(br"\u") && matches!(self.hex4()?, 0xdc00..=0xdfff);
                    if paired { Ok(()) } else { Err(Malformed) }
                }
                _ => Ok(()),
            },
            _ => Err(Malformed),
        }
    }

    fn hex4(&mut self) -> Result<u32, Malformed> {
        let (text, rest) = self.rest.split_first_chunk::<4>().ok_or(Malformed)?;
        self.rest = rest;
        text.iter().try_fold(0, |code, byte| {
            char::from(*byte).to_digit(16).map(|digit| code << 4 | digit).ok_or(Malformed)
        })
    }

    /// Reads a member's name and the colon behind it.
    pub(super) fn name(&mut self) -> Result<Text<'a>, Malformed> {
        self.skip_whitespace();
        if self.next()? != b'"' {
            return Err(Malformed);
        }
        let name = self.string_tail()?;
        self.skip_whitespace();
        if self.next()? != b':' {
            return Err(Malformed);
        }
        self.skip_whitespace();
        Ok(name)
    }

    /// Behind an opening brace: whether the object ends at once.
    #[inline]
    pub(super) fn object_is_empty(&mut self) -> bool {
        if self.peek() == Some(b'"') {
            return false;
        }
        self.skip_whitespace();
        self.eat(b"}")
    }

    /// Behind a member's value: whether the object ends here. If not, another member must follow.
    #[inline(always)]
    pub(super) fn object_ends(&mut self) -> Result<bool, Malformed> {
        self.container_ends(b'}')
    }

    /// Behind an element: whether the array ends here. If not, another element must follow.
    #[inline(always)]
    pub(super) fn array_ends(&mut self) -> Result<bool, Malformed> {
        self.container_ends(b']')
    }

    #[inline(always)]
    fn container_ends(&mut self, closing: u8) -> Result<bool, Malformed> {
        match self.rest {
            [b',', rest @ ..] => {
                self.rest = rest;
                Ok(false)
            }
            [byte, rest @ ..] if *byte == closing => {
                self.rest = rest;
                Ok(true)
            }
            _ => self.container_ends_spaced(closing),
        }
    }

    #[cold]
    fn container_ends_spaced(&mut self, closing: u8) -> Result<bool, Malformed> {
        self.skip_whitespace();
        match self.next()? {
            b',' => Ok(false),
            byte if byte == closing => Ok(true),
            _ => Err(Malformed),
        }
    }

    /// Reads a value that should be a number. `depth` is the number of open containers.
    #[inline(always)]
    pub(super) fn number(&mut self, depth: u32) -> Result<Number, Malformed> {
        if let Some(b'0'..=b'9' | b'-') = self.peek() {
            return self.read_number().map(Number::Is);
        }
        self.not_a_number(depth)
    }

    #[inline(always)]
    fn read_number(&mut self) -> Result<f64, Malformed> {
        let (value, len) = number::read(self.rest);
        if len == 0 {
            return Err(Malformed);
        }
        self.rest = &self.rest[len..];
        Ok(value)
    }

    #[cold]
    fn not_a_number(&mut self, depth: u32) -> Result<Number, Malformed> {
        self.skip_whitespace();
        match self.peek() {
            Some(b'0'..=b'9' | b'-') => self.read_number().map(Number::Is),
            Some(b'n') => self.skip(depth).map(|()| Number::Absent),
            _ => self.skip(depth).map(|()| Number::Wrong),
        }
    }

    /// Reads a value that should be a whole number written as one: `7`, not `7.0`.
    #[inline(always)]
    pub(super) fn integer(&mut self, depth: u32) -> Result<Option<i128>, Malformed> {
        if let [digit @ b'0'..=b'9', b',' | b'}', ..] = self.rest {
            self.rest = &self.rest[1..];
            return Ok(Some(i128::from(digit - b'0')));
        }
        self.long_integer(depth)
    }

    #[cold]
    fn long_integer(&mut self, depth: u32) -> Result<Option<i128>, Malformed> {
        self.skip_whitespace();
        let start = self.rest;
        self.skip(depth)?;
        let token = &start[..start.len() - self.rest.len()];
        // Minus zero is a float, and so is whatever neither i64 nor u64 can hold.
        let range = i128::from(i64::MIN)..=i128::from(u64::MAX);
        let value = std::str::from_utf8(token).ok().filter(|text| *text != "-0");
        Ok(value.and_then(|text| text.parse().ok()).filter(|value| range.contains(value)))
    }

    /// Skips a value, checking it. `depth` is the number of open containers.
    #[inline(always)]
    pub(super) fn skip(&mut self, depth: u32) -> Result<(), Malformed> {
        match self.rest {
            [b'"', tail @ ..] => {
                self.rest = tail;
                self.string_tail().map(|_| ())
            }
            [b'0'..=b'9' | b'-', ..] => self.read_number().map(|_| ()),
            _ => self.skip_any(depth),
        }
    }

    #[inline(never)]
    fn skip_any(&mut self, depth: u32) -> Result<(), Malformed> {
        // One bit for each container opened here, the innermost lowest: is it an object?
        let mut objects: u128 = 0;
        let mut open: u32 = 0;
        loop {
            self.skip_whitespace();
            match self.peek().ok_or(Malformed)? {
                b'"' => {
                    self.rest = &self.rest[1..];
                    self.string_tail()?;
                }
                b'0'..=b'9' | b'-' => {
                    self.read_number()?;
                }
                bracket @ (b'{' | b'[') => {
                    self.rest = &self.rest[1..];
                    open += 1;
                    if depth + open > MAX_DEPTH {
                        return Err(Malformed);
                    }
                    let is_object = bracket == b'{';
                    objects = objects << 1 | u128::from(is_object);
                    self.skip_whitespace();
                    if self.eat(if is_object { b"}" } else { b"]" }) {
                        objects >>= 1;
                        open -= 1;
                    } else {
                        if is_object {
                            self.name()?;
                        }
                        continue;
                    }
                }
                b't' if self.eat(b"true") => {}
                b'f' if self.eat(b"false") => {}
                b'n' if self.eat(b"null") => {}
                _ => return Err(Malformed),
            }
            // A value is complete, and with it perhaps containers around it.
            loop {
                if open == 0 {
                    return Ok(());
                }
                let is_object = objects & 1 == 1;
                if !self.container_ends(if is_object { b'}' } else { b']' })? {
                    if is_object {
                        self.name()?;
                    }
                    break;
                }
                objects >>= 1;
                open -= 1;
            }
        }
    }
}

/// High bits at the bytes that end a plain stretch of string: quote, backslash, control characters
/// and everything beyond ASCII. Only the lowest one is reliable, which is the one asked for.
#[inline(always)]
fn special_bytes(block: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let quote = (block ^ (ONES * b'"' as u64)).wrapping_sub(ONES);
    let backslash = (block ^ (ONES * b'\\' as u64)).wrapping_sub(ONES);
    let control = block.wrapping_sub(ONES * 0x20);
    (quote | backslash | control | block) & (ONES * 0x80)
}

/// Resolves the escapes of a string that is known to be well-formed.
#[cold]
fn unescape(raw: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(raw.len());
    let mut scanner = Scanner::new(raw);
    while let Ok(byte) = scanner.next() {
        if byte != b'\\' {
            text.push(byte);
            continue;
        }
        match scanner.next() {
            Ok(b'b') => text.push(0x08),
            Ok(b'f') => text.push(0x0c),
            Ok(b'n') => text.push(b'\n'),
            Ok(b'r') => text.push(b'\r'),
            Ok(b't') => text.push(b'\t'),
            Ok(b'u') => {
                let mut code = scanner.hex4().unwrap_or_default();
                if (0xd800..0xdc00).contains(&code) && scanner.eat(br"\u") {
                    let low = scanner.hex4().unwrap_or_default();
                    code = 0x1_0000 + ((code - 0xd800) << 10) + low.wrapping_sub(0xdc00);
                }
                let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
                text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            }
            Ok(other) => text.push(other),
            Err(Malformed) => break,
        }
    }
    text
}
