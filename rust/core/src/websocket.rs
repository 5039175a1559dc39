//! The client's half of an established WebSocket connection, without a socket.
//!
//! Bytes read from the network go into [`WebSocket::receive`], which hands back the payloads of all
//! data messages that those bytes completed, one after the other in one buffer: what the decoder
//! wants, since the records inside carry their own separators. Bytes that must be written (frames
//! asked for, pongs, the echo of a close) collect in an output buffer that the caller takes with
//! [`WebSocket::take_output`]. Frames may be cut anywhere between two reads; pings between the
//! fragments of a message are answered at once.
//!
//! Framing, masking, UTF-8 checks and the closing handshake are those of the `tungstenite` crate.
//! This module does not open connections, does not do the HTTP upgrade, negotiates no extension
//! (compressed frames are a violation), keeps no time (when to ping and how long to wait are the
//! caller's), and does not keep the borders between messages.
//!
//! After a violation the connection is over: what came before it in the same read is delivered, a
//! close frame with the fitting code is put into the output, and every later call is refused with
//! the same error. The buffer for incoming bytes keeps the size of the largest message seen until
//! the connection is dropped.

use std::io::{self, Read, Write};
use std::num::NonZeroUsize;

use thiserror::Error;
use tungstenite::error::{CapacityError, ProtocolError};
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{CloseFrame, Role, WebSocketConfig, WebSocketContext};
use tungstenite::{Error as TungsteniteError, Message, Utf8Bytes};

/// The step in which input is copied into the frame buffer, in bytes. tungstenite zeroes this much
/// of its buffer on every read from its stream, twice per [`WebSocket::receive`], so 128 KiB (its
/// default) would cost more than decoding the one small frame that a quiet market sends.
const READ_STEP_BYTES: usize = 16 * 1024;

/// RFC 6455 5.5: the payload of a control frame has at most this many bytes.
const MAX_CONTROL_BYTES: usize = 125;

/// The code that stands for "the close frame named none" (RFC 6455 7.1.5).
const NO_STATUS: u16 = 1005;

/// Why the connection cannot go on, or why a frame was not queued.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum WebSocketError {
    /// The peer broke RFC 6455. The text is fixed wording, never what the peer sent.
    #[error("the hub broke the WebSocket protocol: {0}")]
    Violation(String),
    /// A text message or a close reason was not UTF-8.
    #[error("the hub sent a WebSocket text message that is not UTF-8")]
    NotUtf8,
    /// A message exceeds the limit given to [`WebSocket::new`].
    #[error(
        "the hub sent a WebSocket message of {size} bytes or more, the limit is {limit}; raise max_message_bytes"
    )]
    MessageTooLong {
        /// Payload bytes known so far, without frame headers.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// A control payload exceeds what one control frame carries.
    #[error("{what} takes at most {limit} bytes, got {size}")]
    ControlTooLong {
        /// Which argument.
        what: &'static str,
        /// Its size in bytes.
        size: usize,
        /// The most it may have.
        limit: usize,
    },
    /// A close code that must not appear in a frame (RFC 6455 7.4).
    #[error("close code {0} must not be sent; use 1000, 1001 or 3000 to 4999")]
    CloseCode(u16),
    /// A frame was to be queued, or bytes were received, after a close frame.
    #[error("the WebSocket connection is closing; nothing more can be sent or received")]
    Closed,
}

/// The peer's close frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Close {
    /// Status code; 1005 where the frame had none.
    pub code: u16,
    /// Reason given by the peer, often empty.
    pub reason: String,
}

/// What one [`WebSocket::receive`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// Payloads of all text and binary messages completed by this read, in order, without borders.
    pub payload: Vec<u8>,
    /// How many messages those were; empty ones count.
    pub messages: usize,
    /// Payloads of the pongs received.
    pub pongs: Vec<Vec<u8>>,
    /// Pings received; each has been answered in the output.
    pub pings: usize,
    /// The peer's close frame; its echo is in the output, and nothing after it was read.
    pub close: Option<Close>,
    /// What ended the connection, found after everything above.
    pub violation: Option<WebSocketError>,
}

/// The client's half of one WebSocket connection after the upgrade.
#[derive(Debug)]
pub struct WebSocket {
    context: WebSocketContext,
    output: Vec<u8>,
    limit: usize,
    failure: Option<WebSocketError>,
}

impl WebSocket {
    /// A connection whose upgrade has just succeeded. No message, however fragmented, may have more
    /// than `max_message_bytes` of payload.
    #[must_use]
    pub fn new(max_message_bytes: NonZeroUsize) -> Self {
        let limit = max_message_bytes.get();
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_STEP_BYTES)
            .max_message_size(Some(limit))
            // A control frame is legal however small the limit for messages is.
            .max_frame_size(Some(limit.max(MAX_CONTROL_BYTES)));
        Self {
            context: WebSocketContext::new(Role::Client, Some(config)),
            output: Vec::new(),
            limit,
            failure: None,
        }
    }

    /// Take in what was read from the network, in full.
    ///
    /// # Errors
    /// The violation that an earlier call reported, or [`WebSocketError::Closed`] after the peer's
    /// close frame. A violation found by this call is in [`Received::violation`], beside what was
    /// received before it.
    pub fn receive(&mut self, data: &[u8]) -> Result<Received, WebSocketError> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        let mut received =
            Received { payload: Vec::with_capacity(data.len()), ..Received::default() };
        let mut pipe = Pipe { input: data, output: &mut self.output };
        loop {
            match self.context.read(&mut pipe) {
                Ok(Message::Text(text)) => {
                    received.payload.extend_from_slice(text.as_bytes());
                    received.messages += 1;
                }
                Ok(Message::Binary(bytes)) => {
                    received.payload.extend_from_slice(&bytes);
                    received.messages += 1;
                }
                Ok(Message::Ping(_)) => received.pings += 1,
                Ok(Message::Pong(bytes)) => received.pongs.push(bytes.to_vec()),
                Ok(Message::Close(frame)) => {
                    received.close = Some(Close::from(frame));
                    self.failure = Some(WebSocketError::Closed);
                    break;
                }
                // Raw frames are only ever written, never read.
                Ok(Message::Frame(_)) => {}
                Err(TungsteniteError::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                    break;
                }
                Err(error) => {
                    let violation = self.violation(error);
                    self.failure = Some(violation.clone());
                    received.violation = Some(violation);
                    break;
                }
            }
        }
        self.flush();
        if let Some(violation) = &received.violation {
            self.announce(violation);
        }
        Ok(received)
    }

    /// Queue a text message.
    ///
    /// # Errors
    /// The connection is closing.
    pub fn send_text(&mut self, text: &str) -> Result<(), WebSocketError> {
        self.send(Message::text(text))
    }

    /// Queue a binary message.
    ///
    /// # Errors
    /// The connection is closing.
    pub fn send_binary(&mut self, data: &[u8]) -> Result<(), WebSocketError> {
        self.send(Message::binary(data.to_vec()))
    }

    /// Queue a ping; the peer answers with a pong of the same payload.
    ///
    /// # Errors
    /// The payload has more than 125 bytes, or the connection is closing.
    pub fn ping(&mut self, payload: &[u8]) -> Result<(), WebSocketError> {
        check_control("a ping payload", payload.len(), MAX_CONTROL_BYTES)?;
        self.send(Message::Ping(payload.to_vec().into()))
    }

    /// Queue a close frame. Messages that were under way still arrive; nothing can be sent after it.
    /// A second call, or one after the peer's close, changes nothing.
    ///
    /// # Errors
    /// The reason has more than 123 bytes, or the code must not be sent.
    pub fn close(&mut self, code: u16, reason: &str) -> Result<(), WebSocketError> {
        check_control("a close reason", reason.len(), MAX_CONTROL_BYTES - 2)?;
        let code = CloseCode::from(code);
        if !code.is_allowed() {
            return Err(WebSocketError::CloseCode(code.into()));
        }
        self.queue_close(CloseFrame { code, reason: Utf8Bytes::from(reason) });
        Ok(())
    }

    /// Whether frames can still be sent.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.failure.is_none() && self.context.can_write()
    }

    /// Whether [`take_output`](Self::take_output) has anything.
    #[must_use]
    pub fn has_output(&self) -> bool {
        !self.output.is_empty()
    }

    /// Take the bytes that must be written to the network, in order, before any taken later.
    #[must_use]
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    fn send(&mut self, message: Message) -> Result<(), WebSocketError> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        let mut pipe = Pipe { input: &[], output: &mut self.output };
        let sent = self.context.write(&mut pipe, message);
        sent.and_then(|()| self.context.flush(&mut pipe)).map_err(|_| WebSocketError::Closed)
    }

    /// Move what tungstenite queued by itself (pongs, the echo of a close) into the output.
    fn flush(&mut self) {
        let mut pipe = Pipe { input: &[], output: &mut self.output };
        // Writing to a vector cannot fail; tungstenite reports here only that a connection has
        // ended, and `read` has reported that already.
        let _ended = self.context.flush(&mut pipe);
    }

    fn queue_close(&mut self, frame: CloseFrame) {
        let mut pipe = Pipe { input: &[], output: &mut self.output };
        // As in `flush`. On a connection that is closing already this writes nothing.
        let _ended = self.context.close(&mut pipe, Some(frame));
    }

    /// Tell the peer why the connection is being dropped (RFC 6455 7.1.7).
    fn announce(&mut self, violation: &WebSocketError) {
        let code = match violation {
            WebSocketError::NotUtf8 => CloseCode::Invalid,
            WebSocketError::MessageTooLong { .. } => CloseCode::Size,
            _ => CloseCode::Protocol,
        };
        self.queue_close(CloseFrame { code, reason: Utf8Bytes::from_static("") });
    }

    fn violation(&self, error: TungsteniteError) -> WebSocketError {
        match error {
            TungsteniteError::Capacity(CapacityError::MessageTooLong { size, .. }) => {
                WebSocketError::MessageTooLong { size, limit: self.limit }
            }
            TungsteniteError::Utf8(_) => WebSocketError::NotUtf8,
            TungsteniteError::Protocol(ProtocolError::NonZeroReservedBits) => WebSocketError::Violation(
                "reserved bits are set, as in a compressed frame, but no extension was negotiated".into(),
            ),
            TungsteniteError::Protocol(error) => WebSocketError::Violation(error.to_string()),
            other => WebSocketError::Violation(other.to_string()),
        }
    }
}

impl From<Option<CloseFrame>> for Close {
    fn from(frame: Option<CloseFrame>) -> Self {
        match frame {
            Some(frame) => Self { code: frame.code.into(), reason: frame.reason.to_string() },
            None => Self { code: NO_STATUS, reason: String::new() },
        }
    }
}

fn check_control(what: &'static str, size: usize, limit: usize) -> Result<(), WebSocketError> {
    if size > limit {
        return Err(WebSocketError::ControlTooLong { what, size, limit });
    }
    Ok(())
}

/// The stream that tungstenite reads and writes: one call's input and the connection's output.
struct Pipe<'a> {
    input: &'a [u8],
    output: &'a mut Vec<u8>,
}

impl Read for Pipe<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.input.is_empty() {
            // Zero would mean the end of the stream.
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.input.read(buffer)
    }
}

impl Write for Pipe<'_> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.output.write(data)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
