//! Names of kinds of bars, and their order.
#![allow(clippy::unwrap_used)]

mod engine_support;

use engine_support::{engine, kind};
use proptest::prelude::*;
use tickwire_core::bars::{Kind, Measure};

#[test]
fn names_come_back_as_they_were() {
    for text in [
        "1s",
        "1mo",
        "1t",
        "100t",
        "1000000000t",
        "5000v",
        "0.5v",
        "0.000000001v",
        "1000000n",
        "1000000000000000n",
        "8r",
        "1000000r",
        "1renko",
        "24renko",
    ] {
        assert_eq!(kind(text).to_string(), text);
    }
}

#[test]
fn an_amount_has_one_name_and_many_spellings() {
    for (text, name) in [
        ("1e6n", "1000000n"),
        ("1.5e3v", "1500v"),
        ("05v", "5v"),
        ("5.0v", "5v"),
        ("0.10v", "0.1v"),
        ("10e0n", "10n"),
    ] {
        assert_eq!(kind(text).to_string(), name);
        assert_eq!(kind(text), kind(name));
    }
}

#[test]
fn other_text_is_refused_with_what_was_expected() {
    for text in [
        "",
        "t",
        "0t",
        "01t",
        "1.5t",
        "1e3t",
        "-1t",
        "+1t",
        "1000000001t",
        "0v",
        "-1v",
        "+1v",
        ".5v",
        "5.v",
        "1e-3v",
        "1e+3v",
        "e3v",
        "1ev",
        "1e16n",
        "1e999n",
        "nann",
        "infv",
        "1_0v",
        "0r",
        "1.0r",
        "1000001r",
        "8 renko",
        "8Renko",
        "renko",
        "1e6",
        "5x",
        "٣t",
        "1t ",
    ] {
        let error = text.parse::<Kind>().unwrap_err().to_string();
        assert!(error.contains(&format!("{text:?}")) && error.contains("expected"), "{error}");
        assert!(error.contains("8renko") && error.contains("1e6n"), "{error}");
    }
}

#[test]
fn lengths_of_time_come_first_and_each_kind_is_ascending() {
    let texts = ["2renko", "9n", "10v", "100t", "1h", "8r", "9v", "1s", "9t", "1e1v", "1d"];
    let engine = engine(&texts);
    let names: Vec<String> = engine.kinds().iter().map(ToString::to_string).collect();
    let expected = ["1s", "1h", "1d", "9t", "100t", "9v", "10v", "9n", "8r", "2renko"];
    assert_eq!(names, expected);
    let times: Vec<String> = engine.timeframes().iter().map(ToString::to_string).collect();
    assert_eq!(times, ["1s", "1h", "1d"]);
}

proptest! {
    #[test]
    fn the_name_of_an_amount_is_read_back_as_the_same(amount in 1e-9..1e15_f64) {
        let text = format!("{amount}v");
        let Kind::Measured(Measure::Volume(read)) = kind(&text) else { panic!("{text}") };
        prop_assert_eq!(read.get(), amount);
        prop_assert_eq!(kind(&text).to_string(), text);
    }

    #[test]
    fn no_text_is_too_odd(text in ".{0,12}") {
        if let Ok(kind) = text.parse::<Kind>() {
            prop_assert_eq!(kind.to_string().parse::<Kind>().unwrap(), kind);
        }
    }
}
