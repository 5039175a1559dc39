//! Decimal numbers as JSON writes them, to the nearest double, exactly.
//!
//! The grammar is JSON's: no plus sign, no leading zeros, digits on both sides of a point. A number
//! too large for a double is refused; one too small becomes zero. Decimal text with at most 15 or 16
//! significant digits, which is all that prices have, is read by one exact division (Clinger's fast
//! path); everything else goes to the standard library.

/// Powers of ten that a double holds exactly.
const POW10: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

/// Integers up to this one are doubles.
const MAX_EXACT: u64 = 1 << 53;

/// Longest run of digits that cannot overflow a `u64`.
const MAX_DIGITS: usize = 19;

/// What [`read`] gives for text that is no number.
const NONE: (f64, usize) = (0.0, 0);

/// Appends the leading decimal digits of `text` to `value` and gives what follows them.
///
/// The value wraps beyond 19 digits: the caller counts them. One digit at a time lets the processor
/// predict where the number ends and read on; taking eight at once makes whatever follows wait for
/// the arithmetic, and measured slower on prices, sizes and fractions of a second alike.
#[inline(always)]
pub(super) fn digits(text: &[u8], mut value: u64) -> (u64, &[u8]) {
    let mut rest = text;
    while let [digit @ b'0'..=b'9', tail @ ..] = rest {
        value = value.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
        rest = tail;
    }
    (value, rest)
}

/// The number at the start of `text` and its length in bytes, which is 0 if there is none.
///
/// A pair of scalars comes back in registers; an `Option` around it would go through memory.
#[inline]
pub(super) fn read(text: &[u8]) -> (f64, usize) {
    let (negative, unsigned) = match text {
        [b'-', unsigned @ ..] => (true, unsigned),
        unsigned => (false, unsigned),
    };
    let (whole, after_whole) = digits(unsigned, 0);
    let whole_len = unsigned.len() - after_whole.len();
    if whole_len == 0 || (whole_len > 1 && unsigned[0] == b'0') {
        return NONE;
    }
    let (mantissa, after, fraction_len) = match after_whole {
        [b'.', fraction @ ..] => {
            let (mantissa, after) = digits(fraction, whole);
            let fraction_len = fraction.len() - after.len();
            if fraction_len == 0 {
                return NONE;
            }
            (mantissa, after, fraction_len)
        }
        after => (whole, after, 0),
    };
    let has_exponent = matches!(after, [b'e' | b'E', ..]);
    if has_exponent || whole_len + fraction_len > MAX_DIGITS || mantissa > MAX_EXACT {
        return exact(text, text.len() - after.len());
    }
    #[allow(clippy::cast_precision_loss, reason = "at most 2^53")]
    let magnitude = mantissa as f64 / POW10[fraction_len];
    (if negative { -magnitude } else { magnitude }, text.len() - after.len())
}

/// The cold half of [`read`]: the mantissa is `mantissa_len` bytes long, sign and point included.
#[cold]
fn exact(text: &[u8], mantissa_len: usize) -> (f64, usize) {
    let mut len = mantissa_len;
    if let [b'e' | b'E', exponent @ ..] = &text[len..] {
        let unsigned = match exponent {
            [b'+' | b'-', unsigned @ ..] => unsigned,
            unsigned => unsigned,
        };
        let (_, after) = digits(unsigned, 0);
        if after.len() == unsigned.len() {
            return NONE;
        }
        len = text.len() - after.len();
    }
    let value = std::str::from_utf8(&text[..len]).ok().and_then(|text| text.parse::<f64>().ok());
    value.filter(|value| value.is_finite()).map_or(NONE, |value| (value, len))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn whole(text: &str) -> Option<f64> {
        let (value, len) = read(text.as_bytes());
        (len > 0 && len == text.len()).then_some(value)
    }

    #[test]
    fn prices_are_the_nearest_double() {
        for text in ["2208.100000000", "2100.25", "0.1", "29547", "-37.63", "9007199254740993"] {
            assert_eq!(whole(text), text.parse().ok(), "{text}");
        }
        assert_eq!(whole("-0").map(f64::to_bits), Some((-0.0f64).to_bits()));
    }

    #[test]
    fn refuses_what_is_not_json() {
        for text in ["", "-", "+1", "01", "-01", ".5", "1.", "1.e3", "1e", "1e+", "--1", "1e400"] {
            assert_eq!(whole(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn equals_the_standard_library(text in r"-?(0|[1-9][0-9]{0,25})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?") {
            let expected = text.parse::<f64>().ok().filter(|value| value.is_finite());
            prop_assert_eq!(whole(&text).map(f64::to_bits), expected.map(f64::to_bits));
        }

        #[test]
        fn reads_back_every_double(value in any::<f64>().prop_filter("finite", |v| v.is_finite())) {
            prop_assert_eq!(whole(&format!("{value}")).map(f64::to_bits), Some(value.to_bits()));
            prop_assert_eq!(whole(&format!("{value:e}")).map(f64::to_bits), Some(value.to_bits()));
        }

        #[test]
        fn stops_at_the_first_byte_that_is_no_digit(head in "[0-9]{0,20}", tail in "[^0-9]{0,12}") {
            let text = format!("{head}{tail}");
            let (value, rest) = digits(text.as_bytes(), 0);
            prop_assert_eq!(rest, tail.as_bytes());
            if head.len() <= MAX_DIGITS {
                prop_assert_eq!(value, head.parse::<u64>().unwrap_or(0));
            }
        }
    }
}
