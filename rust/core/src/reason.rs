//! Why a tick was rejected, or flagged and kept. Each reason has one counter, and one name that
//! every layer uses.

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal,)+) => {
        /// Why a tick was rejected, or flagged and kept.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Reason {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Reason {
            /// Every reason, in the order of their counters.
            pub const ALL: &[Reason] = &[$(Reason::$variant,)+];

            /// The name users see.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Reason::$variant => $name,)+ }
            }
        }
    };
}

reasons! {
    /// The record or element could not be read.
    Malformed = "malformed",
    /// The record was longer than the feed's limit.
    Oversize = "oversize",
    /// The contract id is not one of the engine's instruments.
    UnknownInstrument = "unknown_instrument",
    /// No usable event time.
    NoTime = "no_event_time",
    /// A price that is NaN or infinite, or a quote without any price.
    NotFinite = "not_finite",
    /// A price of zero or less where the instrument does not allow it.
    NotPositive = "not_positive",
    /// A size that is negative, NaN or infinite.
    Size = "size",
    /// A price that is not a multiple of the tick size.
    Grid = "grid",
    /// A bid above its ask.
    Crossed = "crossed",
    /// An event time too far ahead of the arrival time.
    Skew = "skew",
    /// A bar that the tick belongs to is already closed.
    Late = "late",
    /// A price outside the band around the last accepted one.
    Band = "band",
    /// A price outside the absolute limits.
    Limits = "limits",
    /// A price that jumped away and came back at once; found out afterwards.
    Spike = "spike",
    /// A trade of size zero.
    ZeroSize = "zero_size",
    /// A trade of many times the usual size.
    Outsize = "outsize",
    /// An event time too far behind the arrival time.
    Stale = "stale",
    /// An event time too far behind the newest one.
    Backwards = "backwards",
    /// A bid equal to its ask.
    Locked = "locked",
    /// A quote without a bid or without an ask.
    OneSided = "one_sided",
    /// The same tick as the one before.
    Duplicate = "duplicate",
    /// A time outside of the trading hours.
    Session = "session",
    /// An update of the instrument has failed inside; it takes nothing any more.
    Stopped = "stopped",
}

/// Number of reasons.
pub const REASONS: usize = Reason::ALL.len();
