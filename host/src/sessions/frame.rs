//! The frames of suites 2 and 3: what stands in the `overlay` and the `nonce` of an outer message. Numbers are big-endian.
//!
//! ```text
//! frame = magic "n2n2" | suite u8 | type u8 | reserved u16 | body
//! nonce = receiver index u32 | zero u32 | counter u64
//! ```

use super::{Suite, TAG_BYTES};

/// Length of what each frame begins with.
pub(super) const HEADER_BYTES: usize = 8;
/// Length of the code by which a first handshake frame is known before anything is computed on a curve.
pub(super) const MAC_BYTES: usize = 16;

/// What the frames of all suites from the second on begin with.
pub(super) const MAGIC: [u8; 4] = *b"n2n2";
const INDEX_BYTES: usize = 4;

/// By what a node finds one of its sessions: it draws the number, and its peer puts it on what it sends. Never zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Index(pub(super) [u8; INDEX_BYTES]);

/// What a frame is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    FirstHandshake,
    SecondHandshake,
    Data,
    Close,
}

/// HS1: somebody wants a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FirstHandshake<'a> {
    pub(super) sender: Index,
    pub(super) noise: &'a [u8],
    pub(super) mac: &'a [u8; MAC_BYTES],
}

/// HS2: the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SecondHandshake<'a> {
    pub(super) sender: Index,
    pub(super) receiver: Index,
    pub(super) noise: &'a [u8],
}

/// A frame that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Frame<'a> {
    First(FirstHandshake<'a>),
    Second(SecondHandshake<'a>),
    /// A message of a session.
    Data {
        sealed: &'a [u8],
        tag: &'a [u8; TAG_BYTES],
    },
    /// The end of a session. Nothing is in it, but it is sealed as a message is.
    Close {
        tag: &'a [u8; TAG_BYTES],
    },
}

/// Which message of a session this is: an outer message's `nonce`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Nonce {
    /// `None` before the receiver has said its index.
    pub(super) receiver: Option<Index>,
    pub(super) counter: u64,
}

/// Why bytes are not a frame. Anybody's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// It is not of any suite from the second on.
    #[error("it does not begin as a frame does")]
    Magic,
    /// It is of a suite that this program does not have.
    #[error("it is a frame of suite {0}")]
    Suite(u8),
    /// There is no such type.
    #[error("there is no frame of type {0}")]
    Kind(u8),
    /// Reserved bits are set, or a number that is none.
    #[error("it has bits that are reserved")]
    Reserved,
    /// It is shorter or longer than its type.
    #[error("it has another length than a frame of its type")]
    Length,
    /// The set-up flag is for handshakes, and only for them.
    #[error("the set-up flag is not that of its type")]
    SetUp,
    /// The nonce is not that of a frame of this type.
    #[error("the nonce is not one of its type")]
    Nonce,
    /// The salt has another length than 32 bytes.
    #[error("the salt has another length than 32 bytes")]
    Salt,
}

impl Kind {
    /// What a frame of this type begins with.
    pub(super) fn header(self, suite: Suite) -> [u8; HEADER_BYTES] {
        let number = match self {
            Self::FirstHandshake => 1,
            Self::SecondHandshake => 2,
            Self::Data => 3,
            Self::Close => 4,
        };
        let [a, b, c, d] = MAGIC;
        [a, b, c, d, suite.number(), number, 0, 0]
    }

    fn read(header: &[u8; HEADER_BYTES]) -> Result<(Suite, Self), FrameError> {
        let [magic @ .., suite, number, reserved, too] = header;
        if *magic != MAGIC {
            return Err(FrameError::Magic);
        }
        let suite = Suite::of_number(*suite).ok_or(FrameError::Suite(*suite))?;
        if (*reserved, *too) != (0, 0) {
            return Err(FrameError::Reserved);
        }
        let kind = match number {
            1 => Self::FirstHandshake,
            2 => Self::SecondHandshake,
            3 => Self::Data,
            4 => Self::Close,
            other => return Err(FrameError::Kind(*other)),
        };
        Ok((suite, kind))
    }

    /// Whether it belongs to a handshake, which the outer message says too.
    pub(super) fn is_set_up(self) -> bool {
        matches!(self, Self::FirstHandshake | Self::SecondHandshake)
    }
}

impl Index {
    /// The index of these bytes; `None` for zeros.
    pub(super) fn new(bytes: [u8; INDEX_BYTES]) -> Option<Self> {
        (bytes != [0; INDEX_BYTES]).then_some(Self(bytes))
    }

    fn split_off(bytes: &[u8]) -> Result<(Self, &[u8]), FrameError> {
        let (index, rest) = bytes.split_first_chunk().ok_or(FrameError::Length)?;
        let index = Self::new(*index).ok_or(FrameError::Reserved)?;
        Ok((index, rest))
    }
}

impl<'a> Frame<'a> {
    /// Reads a frame. Errors: anything that [`encode`](Self::encode) would not write.
    pub(super) fn read(bytes: &'a [u8]) -> Result<(Suite, Self), FrameError> {
        let (header, body) = bytes.split_first_chunk().ok_or(FrameError::Length)?;
        let (suite, kind) = Kind::read(header)?;
        let frame = match kind {
            Kind::FirstHandshake => {
                let (sender, body) = Index::split_off(body)?;
                let parts = body.split_at_checked(suite.first_noise_bytes());
                let (noise, mac) = parts.ok_or(FrameError::Length)?;
                let mac = mac.try_into().map_err(|_| FrameError::Length)?;
                Self::First(FirstHandshake { sender, noise, mac })
            }
            Kind::SecondHandshake => {
                let (sender, body) = Index::split_off(body)?;
                let (receiver, noise) = Index::split_off(body)?;
                if noise.len() != suite.second_noise_bytes() {
                    return Err(FrameError::Length);
                }
                Self::Second(SecondHandshake {
                    sender,
                    receiver,
                    noise,
                })
            }
            Kind::Data => {
                let (sealed, tag) = body.split_last_chunk().ok_or(FrameError::Length)?;
                Self::Data { sealed, tag }
            }
            Kind::Close => {
                let tag = body.try_into().map_err(|_| FrameError::Length)?;
                Self::Close { tag }
            }
        };
        Ok((suite, frame))
    }

    /// The frame's bytes.
    pub(super) fn encode(&self, suite: Suite) -> Vec<u8> {
        let header = self.kind().header(suite);
        match self {
            Self::First(FirstHandshake { sender, noise, mac }) => {
                [&header[..], &sender.0, noise, *mac].concat()
            }
            Self::Second(SecondHandshake {
                sender,
                receiver,
                noise,
            }) => [&header[..], &sender.0, &receiver.0, noise].concat(),
            Self::Data { sealed, tag } => [&header[..], sealed, *tag].concat(),
            Self::Close { tag } => [&header[..], *tag].concat(),
        }
    }

    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::First(_) => Kind::FirstHandshake,
            Self::Second(_) => Kind::SecondHandshake,
            Self::Data { .. } => Kind::Data,
            Self::Close { .. } => Kind::Close,
        }
    }
}

impl Nonce {
    /// That of a first handshake frame, whose receiver has no index yet.
    pub(super) const FIRST: Self = Self {
        receiver: None,
        counter: 0,
    };

    /// That of a second handshake frame.
    pub(super) fn of_answer(receiver: Index) -> Self {
        Self {
            receiver: Some(receiver),
            counter: 0,
        }
    }

    /// Reads an outer message's nonce.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, FrameError> {
        let bytes: &[u8; 16] = bytes.try_into().map_err(|_| FrameError::Nonce)?;
        let (receiver, rest) = bytes.split_first_chunk().ok_or(FrameError::Nonce)?;
        let (zero, counter) = rest.split_first_chunk().ok_or(FrameError::Nonce)?;
        if *zero != [0; 4] {
            return Err(FrameError::Nonce);
        }
        let counter = counter.try_into().map_err(|_| FrameError::Nonce)?;
        Ok(Self {
            receiver: Index::new(*receiver),
            counter: u64::from_be_bytes(counter),
        })
    }

    pub(super) fn encode(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        let receiver = self.receiver.map_or([0; INDEX_BYTES], |index| index.0);
        bytes[..INDEX_BYTES].copy_from_slice(&receiver);
        bytes[8..].copy_from_slice(&self.counter.to_be_bytes());
        bytes
    }

    /// The cipher's nonce: the last 12 bytes.
    pub(super) fn of_cipher(self) -> [u8; 12] {
        let mut bytes = [0; 12];
        bytes[4..].copy_from_slice(&self.counter.to_be_bytes());
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Index = Index([0, 0, 0, 1]);

    /// One of each type.
    fn frames(suite: Suite) -> Vec<Vec<u8>> {
        let (first, second) = (suite.first_noise_bytes(), suite.second_noise_bytes());
        let noise = vec![7; first.max(second)];
        let (sender, receiver) = (ONE, Index([9; 4]));
        let (mac, tag) = (&[8; MAC_BYTES], &[6; TAG_BYTES]);
        let frames = [
            Frame::First(FirstHandshake {
                sender,
                noise: &noise[..first],
                mac,
            }),
            Frame::Second(SecondHandshake {
                sender,
                receiver,
                noise: &noise[..second],
            }),
            Frame::Data {
                sealed: &[5; 256],
                tag,
            },
            Frame::Close { tag },
        ];
        frames.iter().map(|frame| frame.encode(suite)).collect()
    }

    #[test]
    fn refuses_frames_of_other_suites_types_and_lengths_and_reserved_bits() {
        let frames = Suite::ALL.map(|suite| frames(suite).into_iter().enumerate());
        for (kind, frame) in frames.into_iter().flatten() {
            let changed = |at: usize, to: u8| {
                let mut frame = frame.clone();
                frame[at] = to;
                Frame::read(&frame).map(|_| ()).err()
            };
            assert_eq!(changed(0, b'N'), Some(FrameError::Magic));
            assert_eq!(changed(4, 1), Some(FrameError::Suite(1)));
            assert_eq!(changed(4, 4), Some(FrameError::Suite(4)));
            assert_eq!(changed(5, 0), Some(FrameError::Kind(0)));
            assert_eq!(changed(5, 5), Some(FrameError::Kind(5)));
            assert_eq!(changed(6, 0x80), Some(FrameError::Reserved));
            assert_eq!(changed(7, 1), Some(FrameError::Reserved));
            let least = if kind == 2 {
                HEADER_BYTES + TAG_BYTES
            } else {
                frame.len()
            };
            for length in 0..least {
                assert_eq!(Frame::read(&frame[..length]), Err(FrameError::Length));
            }
            if kind != 2 {
                let longer = [&frame[..], &[0]].concat();
                assert_eq!(Frame::read(&longer), Err(FrameError::Length));
            }
            if kind < 2 {
                let other = if frame[4] == 2 { 3 } else { 2 };
                let length = Some(FrameError::Length);
                assert_eq!(changed(4, other), length, "of the length of another suite");
            }
        }
        let mut first = self::frames(Suite::Two).remove(0);
        first[8..12].fill(0);
        assert_eq!(Frame::read(&first), Err(FrameError::Reserved));
    }

    #[test]
    fn the_lengths_on_the_wire_are_those_of_the_design() {
        let lengths = |suite| -> Vec<_> { frames(suite).iter().map(Vec::len).collect() };
        let (data, close) = (8 + 256 + 16, 8 + 16);
        assert_eq!(
            lengths(Suite::Two),
            [8 + 4 + 105 + 16, 8 + 4 + 4 + 93, data, close]
        );
        let (key, ciphertext) = (1184 + 16, 1088 + 16);
        assert_eq!(
            lengths(Suite::Three),
            [
                8 + 4 + 105 + key + 16,
                8 + 4 + 4 + 93 + ciphertext,
                data,
                close
            ]
        );
    }

    #[test]
    fn a_frame_and_a_nonce_come_back_from_their_bytes() {
        for suite in Suite::ALL {
            for bytes in frames(suite) {
                let (read, frame) = Frame::read(&bytes).expect("read");
                assert_eq!((read, frame.encode(suite)), (suite, bytes.clone()));
            }
        }
        for receiver in [None, Some(ONE)] {
            let nonce = Nonce {
                receiver,
                counter: 1 << 40,
            };
            assert_eq!(Nonce::read(&nonce.encode()), Ok(nonce));
            assert_eq!(nonce.encode()[4..], nonce.of_cipher());
        }
    }

    #[test]
    fn refuses_nonces_with_reserved_bits_or_of_another_length() {
        let mut nonce = [1; 16];
        assert_eq!(Nonce::read(&nonce), Err(FrameError::Nonce));
        nonce[4..8].fill(0);
        assert!(Nonce::read(&nonce).is_ok());
        assert_eq!(Nonce::read(&nonce[..15]), Err(FrameError::Nonce));
        assert_eq!(Nonce::read(&[0; 17]), Err(FrameError::Nonce));
    }
}
