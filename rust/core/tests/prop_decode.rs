//! The hub decoder against a model over `serde_json`, and against itself with the stream cut.

mod decode_support;

use decode_support::model::{Model, instant};
use decode_support::{CONTRACTS, SMALL_LIMIT, decode_parts, event, stream, varied_records};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use tickwire_core::decode::timestamp;
use tickwire_core::record::NO_TIME;

/// A JSON text under construction. Scalars are bytes as they will stand in the record, so that they
/// may be wrong; names too.
#[derive(Clone, Debug)]
enum Node {
    Scalar(Vec<u8>),
    Array(Vec<Node>),
    Object(Vec<(Vec<u8>, Node)>),
}

impl Node {
    fn write(&self, space: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Scalar(text) => out.extend_from_slice(text),
            Self::Array(elements) => {
                out.push(b'[');
                for (index, element) in elements.iter().enumerate() {
                    out.extend_from_slice(if index == 0 { b"" } else { b"," });
                    out.extend_from_slice(space);
                    element.write(space, out);
                    out.extend_from_slice(space);
                }
                out.push(b']');
            }
            Self::Object(members) => {
                out.push(b'{');
                for (index, (name, value)) in members.iter().enumerate() {
                    out.extend_from_slice(if index == 0 { b"" } else { b"," });
                    out.extend_from_slice(space);
                    out.extend_from_slice(name);
                    out.extend_from_slice(space);
                    out.push(b':');
                    out.extend_from_slice(space);
                    value.write(space, out);
                    out.extend_from_slice(space);
                }
                out.push(b'}');
            }
        }
    }
}

fn scalar(text: impl AsRef<[u8]>) -> Node {
    Node::Scalar(text.as_ref().to_vec())
}

/// One of several spellings, most of them good.
fn one_of(texts: &'static [&'static str]) -> BoxedStrategy<Node> {
    select(texts).prop_map(scalar).boxed()
}

/// A JSON string with anything inside, escapes and surrogates included; about one in four is wrong.
fn any_string() -> BoxedStrategy<Vec<u8>> {
    let piece = prop_oneof![
        12 => "[ -!#-\\[\\]-~]{0,12}".prop_map(String::into_bytes),
        3 => select(&["\\n", "\\\"", "\\\\", "\\/", "\\u0041", "\\ud83d\\ude00", "\\u00e9", "é✓😀"][..])
            .prop_map(|text| text.as_bytes().to_vec()),
        1 => prop_oneof![
            select(&["\\ud83d", "\\ude00", "\\ud83d\\u0041", "\\u00g0", "\\x", "\t", "\\u12"][..])
                .prop_map(|text| text.as_bytes().to_vec()),
            vec(any::<u8>().prop_filter("no terminator", |byte| *byte != 0x1e), 1..3),
        ],
    ];
    vec(piece, 0..3).prop_map(|pieces| [b"\"", &pieces.concat()[..], b"\""].concat()).boxed()
}

fn any_number() -> BoxedStrategy<Node> {
    prop_oneof![
        4 => r"-?(0|[1-9][0-9]{0,5})(\.[0-9]{1,9})?".prop_map(scalar),
        2 => r"-?(0|[1-9][0-9]{0,24})(\.[0-9]{1,25})?([eE][+-]?[0-9]{1,3})?".prop_map(scalar),
        1 => r"-?[0-9]{0,3}\.?[0-9]{0,3}[eE]?[+-]?[0-9]{0,3}".prop_map(scalar),
        1 => one_of(&["-0", "18446744073709551615", "18446744073709551616", "-9223372036854775808",
            "-9223372036854775809", "1e308", "1.8e308", "0e999", "0.0e99999999999", "1e-99999999999",
            "1e99999999999", "5e-324", "1.7976931348623158e308", "9007199254740993"]),
    ]
    .boxed()
}

fn any_value() -> BoxedStrategy<Node> {
    let leaf = prop_oneof![
        4 => any_number(),
        3 => any_string().prop_map(Node::Scalar),
        3 => one_of(&["null", "true", "false", "null", "{}", "[]", "nul", "True", ""]),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Node::Array),
            vec((any_string(), inner), 0..5).prop_map(Node::Object),
        ]
    })
    .boxed()
}

/// A timestamp, right or nearly.
fn any_time() -> BoxedStrategy<String> {
    prop_oneof![
        6 => r"2024-0[1-9]-[0-2][0-9]T[01][0-9]:[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?(Z|[+-][01][0-9]:[0-5][0-9])?",
        2 => r"(1[67]|20|22)[0-9]{2}-[01][0-9]-[0-3][0-9][Tt ][0-2][0-9]:[0-6][0-9]:[0-6][0-9](\.[0-9]{0,11})?(Z|z|[+-][0-2][0-9]:[0-6][0-9])?",
        1 => r"[0-9:TZ.+-]{0,34}",
    ]
    .boxed()
}

fn field(
    name: &'static str,
    value: impl Strategy<Value = Node> + 'static,
) -> BoxedStrategy<(Vec<u8>, Node)> {
    let name = format!("\"{name}\"").into_bytes();
    value.prop_map(move |value| (name.clone(), value)).boxed()
}

fn price() -> BoxedStrategy<Node> {
    prop_oneof![8 => any_number(), 1 => Just(scalar("null")), 1 => any_value()].boxed()
}

fn time() -> BoxedStrategy<Node> {
    prop_oneof![
        8 => any_time().prop_map(|text| scalar(format!("\"{text}\""))),
        1 => Just(scalar("null")),
        1 => any_value(),
    ]
    .boxed()
}

fn code() -> BoxedStrategy<Node> {
    prop_oneof![8 => (0..12).prop_map(|code: i32| scalar(code.to_string())), 2 => any_value()]
        .boxed()
}

/// The data object of any event: any of the gateway's names, in any order, perhaps twice.
fn data_object() -> BoxedStrategy<Node> {
    let member = prop_oneof![
        3 => field("price", price()),
        3 => field("volume", price()),
        2 => field("type", code()),
        2 => field("timestamp", time()),
        1 => field("lastUpdated", time()),
        1 => field("bestBid", price()),
        1 => field("bestAsk", price()),
        1 => field("lastPrice", price()),
        1 => field("bestBidSize", price()),
        1 => field("bidSize", price()),
        1 => field("askSize", price()),
        1 => field("currentVolume", any_value()),
        1 => field("symbolId", any_value()),
        1 => field("pr\\u0069ce", any_number()),
        1 => (any_string(), any_value()).boxed(),
    ];
    vec(member, 0..8).prop_map(Node::Object).boxed()
}

/// A data object just as the gateway writes it, but for a member left out here and there.
fn usual_data_object() -> BoxedStrategy<Node> {
    let names = &["symbolId", "price", "timestamp", "type", "volume"][..];
    let trade = (Just(scalar("\"F.US.EP\"")), any_number(), time(), code(), any_number());
    let trade = trade
        .prop_map(|(symbol, price, time, code, volume)| vec![symbol, price, time, code, volume]);
    let depth_names = &["timestamp", "type", "price", "volume", "currentVolume"][..];
    let depth = (time(), code(), any_number(), any_number(), any_number());
    let depth =
        depth.prop_map(|(time, code, price, volume, now)| vec![time, code, price, volume, now]);
    let quote_names = &[
        "symbol",
        "lastPrice",
        "bestBid",
        "bestAsk",
        "change",
        "open",
        "volume",
        "lastUpdated",
        "timestamp",
    ][..];
    let quote = (vec(any_number(), 6), time(), time()).prop_map(|(numbers, updated, time)| {
        [vec![scalar("\"F.US.EP\"")], numbers, vec![updated, time]].concat()
    });
    prop_oneof![(Just(names), trade), (Just(depth_names), depth), (Just(quote_names), quote),]
        .prop_flat_map(|(names, values)| {
            let members: Vec<_> =
                names.iter().map(|name| format!("\"{name}\"").into_bytes()).zip(values).collect();
            let kept = vec(prop::bool::weighted(0.9), members.len());
            (Just(members), kept).prop_map(|(members, kept)| {
                let kept = members
                    .into_iter()
                    .zip(kept)
                    .filter_map(|(member, kept)| kept.then_some(member));
                Node::Object(kept.collect())
            })
        })
        .boxed()
}

fn data() -> BoxedStrategy<Node> {
    let object = || prop_oneof![data_object(), usual_data_object()];
    let element = prop_oneof![8 => object(), 1 => Just(scalar("null")), 1 => any_value()];
    prop_oneof![4 => object(), 4 => vec(element, 0..4).prop_map(Node::Array), 1 => any_value()]
        .boxed()
}

fn contract() -> BoxedStrategy<Node> {
    let known = select(&CONTRACTS[..2]).prop_map(|id| scalar(format!("\"{id}\"")));
    let spelled =
        one_of(&["\"CON.F.US.GCE.Z25\"", "\"CON\\u002eF.US.EP.U25\"", "\"Zürich \\\"1\\\" 😀\""]);
    prop_oneof![6 => known, 2 => spelled, 1 => any_value()].boxed()
}

fn target() -> BoxedStrategy<Node> {
    prop_oneof![
        8 => one_of(&["\"GatewayTrade\"", "\"GatewayQuote\"", "\"GatewayDepth\""]),
        1 => one_of(&["\"gatewaytrade\"", "\"Gateway\\u0054rade\"", "\"GatewayTrade \"", "null"]),
        1 => any_value(),
    ]
    .boxed()
}

fn arguments() -> BoxedStrategy<Node> {
    let usual = (contract(), data()).prop_map(|(contract, data)| Node::Array(vec![contract, data]));
    let longer = (contract(), data(), any_value())
        .prop_map(|(contract, data, more)| Node::Array(vec![contract, data, more]));
    prop_oneof![8 => usual, 1 => longer, 1 => any_value()].boxed()
}

/// A record, its members in the usual order or any other.
fn record() -> BoxedStrategy<Vec<u8>> {
    let kind = || prop_oneof![8 => Just(scalar("1")), 2 => one_of(&["6", "3", "1.0", "\"1\"", "-1", "1 "])];
    let usual = (
        field("type", Just(scalar("1"))),
        field("target", target()),
        field("arguments", arguments()),
    )
        .prop_map(|(kind, target, arguments)| vec![kind, target, arguments]);
    let stranger = (any_string(), any_value());
    let any_order = vec(
        prop_oneof![
            field("type", kind()),
            field("target", target()),
            field("arguments", arguments()),
            stranger.boxed(),
        ],
        0..5,
    );
    let shuffled = usual.clone().prop_shuffle();
    let object = prop_oneof![4 => usual, 2 => shuffled, 2 => any_order].prop_map(Node::Object);
    let node = prop_oneof![12 => object, 1 => any_value()];
    let space = prop_oneof![4 => Just(""), 1 => select(&[" ", "\r\n\t ", "\u{b}"][..])];
    (node, space)
        .prop_map(|(node, space)| {
            let mut text = Vec::new();
            node.write(space.as_bytes(), &mut text);
            text
        })
        .boxed()
}

/// One way in which a record is damaged.
#[derive(Clone, Debug)]
enum Damage {
    CutAt(Index),
    FlipBit(Index, u8),
    Delete(Index),
    Insert(Index, u8),
    Repeat(Index, Index),
}

impl Damage {
    fn any() -> BoxedStrategy<Self> {
        let letters = b"{}[]\",:\\.-+eE0123456789 \x1e\x00\xc3\xa9nutx".to_vec();
        prop_oneof![
            any::<Index>().prop_map(Self::CutAt),
            (any::<Index>(), 0u8..8).prop_map(|(at, bit)| Self::FlipBit(at, bit)),
            any::<Index>().prop_map(Self::Delete),
            (any::<Index>(), select(letters)).prop_map(|(at, byte)| Self::Insert(at, byte)),
            (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Self::Repeat(from, to)),
        ]
        .boxed()
    }

    fn apply(&self, text: &mut Vec<u8>) {
        if text.is_empty() {
            return;
        }
        let len = text.len();
        match self {
            Self::CutAt(at) => text.truncate(at.index(len)),
            Self::FlipBit(at, bit) => text[at.index(len)] ^= 1 << bit,
            Self::Delete(at) => {
                text.remove(at.index(len));
            }
            Self::Insert(at, byte) => text.insert(at.index(len), *byte),
            Self::Repeat(from, to) => {
                let (from, to) = (from.index(len), to.index(len));
                let piece = text[from.min(to)..from.max(to)].to_vec();
                text.splice(from..from, piece);
            }
        }
    }
}

/// Records with a good one behind each, so that harm done to a neighbour would show.
fn with_neighbours(records: &[Vec<u8>]) -> Vec<u8> {
    let good = event(
        "GatewayTrade",
        r#"[{"price":2100.25,"volume":2,"timestamp":"2024-07-21T13:45:00Z"}]"#,
    );
    let quote = event("GatewayQuote", r#"{"bestAskSize":3}"#);
    records
        .iter()
        .flat_map(|record| stream(&[record.clone(), good.clone().into(), quote.clone().into()]))
        .collect()
}

fn assert_same_as_model(stream: &[u8]) -> Result<(), TestCaseError> {
    let decoded = decode_parts([stream], 1 << 20);
    let expected = Model::default().decode(stream);
    prop_assert_eq!(decoded, expected, "{}", String::from_utf8_lossy(stream));
    Ok(())
}

/// `PROPTEST_CASES` asks for more.
fn at_least(cases: u32) -> ProptestConfig {
    let config = ProptestConfig::default();
    ProptestConfig { cases: config.cases.max(cases), ..config }
}

#[test]
fn the_model_agrees_on_varied_records() {
    let records = varied_records();
    assert_eq!(
        decode_parts([&stream(&records)[..]], 1 << 20),
        Model::default().decode(&stream(&records))
    );
}

#[test]
fn every_damage_of_one_byte_is_classified_as_serde_json_does() {
    for record in varied_records().iter().filter(|record| record.len() < SMALL_LIMIT) {
        for at in 0..record.len() {
            for byte in *b"\"\\{}[]:,0-.e \x1e\x00\x7f\x80\xc3" {
                let mut damaged = record.clone();
                damaged[at] = byte;
                let stream = with_neighbours(&[damaged]);
                let decoded = decode_parts([&stream[..]], 1 << 20);
                let expected = Model::default().decode(&stream);
                assert_eq!(decoded, expected, "{}", String::from_utf8_lossy(&stream));
            }
        }
    }
}

proptest! {
    #![proptest_config(at_least(4_000))]

    #[test]
    fn same_as_the_model(records in vec(record(), 1..4)) {
        assert_same_as_model(&with_neighbours(&records))?;
    }

    #[test]
    fn same_as_the_model_when_damaged(record in record(), damages in vec(Damage::any(), 1..4)) {
        let mut record = record;
        damages.iter().for_each(|damage| damage.apply(&mut record));
        assert_same_as_model(&with_neighbours(&[record]))?;
    }

    #[test]
    fn same_as_the_model_on_noise(noise in vec(any::<u8>(), 0..64)) {
        assert_same_as_model(&with_neighbours(&[noise]))?;
    }

    #[test]
    fn timestamps_equal_the_counted_ones(text in any_time()) {
        prop_assert_eq!(timestamp::parse(text.as_bytes()), instant(&text).unwrap_or(NO_TIME), "{}", text);
    }
}

proptest! {
    #![proptest_config(at_least(1_000))]

    #[test]
    fn any_split_gives_the_same_calls(cuts in vec(any::<Index>(), 0..12)) {
        let stream = stream(&varied_records());
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let parts = cuts.windows(2).map(|pair| &stream[pair[0]..pair[1]]);
        let whole = decode_parts([&stream[..]], SMALL_LIMIT);
        prop_assert!(decode_parts(parts, SMALL_LIMIT) == whole, "{:?}", cuts);
    }

    #[test]
    fn any_split_of_any_records(records in vec(record(), 1..5), limit in 20usize..400, cuts in vec(any::<Index>(), 0..6)) {
        let stream = stream(&records);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let parts = cuts.windows(2).map(|pair| &stream[pair[0]..pair[1]]);
        prop_assert_eq!(decode_parts(parts, limit), decode_parts([&stream[..]], limit));
    }
}
