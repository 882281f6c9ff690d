//! How a message is cut into gRPC messages and put together again.
//!
//! The facts are the reference's: slices of at most [`MAX_SLICE`] bytes, counted from 1, complete when the count
//! reaches the announced size. The limits of [`Reassembly`] are ours: the reference collects without end.

use prost::bytes::Bytes;

use crate::message::MAX_MESSAGE_BYTES;
use crate::proto::relay::Slice as LineSlice;
use crate::proto::researcher::{TaskResponse, TaskResult};

/// Largest slice, in bytes: what the reference leaves of gRPC's default of 4 MiB.
pub const MAX_SLICE: usize = 3_999_967;

/// Most slices of one message. Full slices need 27; more are accepted from a peer that cuts finer, but not so many that
/// one message could keep a call busy for ever.
pub const MAX_SLICES: i32 = 1024;

/// One slice of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slice {
    /// How many slices the message has.
    pub size: i32,
    /// Which one this is, counted from 1.
    pub iteration: i32,
    /// Its part of the message.
    pub bytes: Bytes,
}

/// The same on the wire, by a message of its own in each call.
macro_rules! on_the_wire {
    ($($message:ident),*) => {$(
        impl From<$message> for Slice {
            fn from(part: $message) -> Self {
                let $message {
                    size,
                    iteration,
                    bytes,
                } = part;
                Self {
                    size,
                    iteration,
                    bytes,
                }
            }
        }

        impl From<Slice> for $message {
            fn from(slice: Slice) -> Self {
                let Slice {
                    size,
                    iteration,
                    bytes,
                } = slice;
                Self {
                    size,
                    iteration,
                    bytes,
                }
            }
        }
    )*};
}

on_the_wire!(TaskResponse, TaskResult, LineSlice);

/// Cuts a message into slices without copying it. An empty message, which no peer sends, has none.
///
/// A message longer than [`MAX_MESSAGE_BYTES`] is cut all the same; its receiver refuses it.
pub fn cut(message: impl Into<Bytes>) -> impl ExactSizeIterator<Item = Slice> + Send + 'static {
    let message: Bytes = message.into();
    let count = message.len().div_ceil(MAX_SLICE);
    let size = i32::try_from(count).unwrap_or(i32::MAX);
    (0..size).map(move |index| {
        let start = index as usize * MAX_SLICE;
        let end = message.len().min(start + MAX_SLICE);
        Slice {
            size,
            iteration: index + 1,
            bytes: message.slice(start..end),
        }
    })
}

/// What is wrong with the slices a peer sent. The peer's fault in each case.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// The announced number of slices is none or absurd.
    #[error("a message of {size} slices was announced, between 1 and {MAX_SLICES} are accepted")]
    Size {
        /// The announced number.
        size: i32,
    },
    /// A slice is missing, repeated or out of order.
    #[error("slice {expected} was due and slice {seen} came")]
    OutOfOrder {
        /// The slice that should have come.
        expected: i32,
        /// The slice that came.
        seen: i32,
    },
    /// A later slice announces another number of slices than the first.
    #[error("{first} slices were announced at first, {now} now")]
    SizeChanged {
        /// Announced by the first slice.
        first: i32,
        /// Announced by this one.
        now: i32,
    },
    /// The message is longer than [`MAX_MESSAGE_BYTES`].
    #[error("the message is longer than the {MAX_MESSAGE_BYTES} bytes that are accepted")]
    TooLong,
    /// The call ended with slices missing.
    #[error("the message ended after {received} of {size} slices")]
    Incomplete {
        /// How many came.
        received: i32,
        /// How many were announced.
        size: i32,
    },
}

/// A message being put together. Holds at most [`MAX_MESSAGE_BYTES`]; after an error it must be dropped.
#[derive(Debug, Default)]
pub struct Reassembly {
    size: i32,
    received: i32,
    bytes: Vec<u8>,
}

impl Reassembly {
    /// Adds the next slice; returns the message when this was its last one, and is then ready for the next message.
    pub fn push(&mut self, slice: Slice) -> Result<Option<Bytes>, ChunkError> {
        let Slice {
            size,
            iteration,
            bytes,
        } = slice;
        if self.received == 0 {
            if !(1..=MAX_SLICES).contains(&size) {
                return Err(ChunkError::Size { size });
            }
            self.size = size;
        } else if size != self.size {
            return Err(ChunkError::SizeChanged {
                first: self.size,
                now: size,
            });
        }
        if iteration != self.received + 1 {
            return Err(ChunkError::OutOfOrder {
                expected: self.received + 1,
                seen: iteration,
            });
        }
        if bytes.len() > MAX_MESSAGE_BYTES - self.bytes.len() {
            return Err(ChunkError::TooLong);
        }
        if size == 1 {
            return Ok(Some(bytes));
        }
        // Exactly: a vector that doubles would hold up to twice the limit.
        self.bytes.reserve_exact(bytes.len());
        self.bytes.extend_from_slice(&bytes);
        self.received = iteration;
        if iteration < size {
            return Ok(None);
        }
        self.received = 0;
        Ok(Some(std::mem::take(&mut self.bytes).into()))
    }

    /// Bytes held.
    pub fn held(&self) -> usize {
        self.bytes.len()
    }

    /// Called when the stream of slices has ended: refuses a message that is not complete.
    pub fn end(self) -> Result<(), ChunkError> {
        match self.received {
            0 => Ok(()),
            received => Err(ChunkError::Incomplete {
                received,
                size: self.size,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;

    fn slice(size: i32, iteration: i32, length: usize) -> Slice {
        Slice {
            size,
            iteration,
            bytes: vec![7; length].into(),
        }
    }

    #[test]
    fn refuses_an_absurd_number_of_slices() {
        for size in [0, -1, MAX_SLICES + 1, i32::MAX] {
            assert_eq!(
                Reassembly::default().push(slice(size, 1, 1)),
                Err(ChunkError::Size { size })
            );
        }
    }

    #[test]
    fn refuses_slices_out_of_order() {
        for seen in [0, 2, -1] {
            assert_eq!(
                Reassembly::default().push(slice(3, seen, 1)),
                Err(ChunkError::OutOfOrder { expected: 1, seen })
            );
        }
        let mut message = Reassembly::default();
        message.push(slice(3, 1, 1)).unwrap();
        assert_eq!(
            message.push(slice(3, 1, 1)),
            Err(ChunkError::OutOfOrder {
                expected: 2,
                seen: 1
            })
        );
    }

    #[test]
    fn refuses_a_size_that_changes() {
        let mut message = Reassembly::default();
        message.push(slice(3, 1, 1)).unwrap();
        assert_eq!(
            message.push(slice(2, 2, 1)),
            Err(ChunkError::SizeChanged { first: 3, now: 2 })
        );
    }

    #[test]
    fn refuses_a_message_that_never_ends() {
        let mut message = Reassembly::default();
        let refused = (1..).find_map(|n| message.push(slice(79, n, MAX_SLICE)).err());
        assert_eq!(refused, Some(ChunkError::TooLong));
        assert!(message.held() <= MAX_MESSAGE_BYTES);
        assert!(message.bytes.capacity() <= MAX_MESSAGE_BYTES);
    }

    #[test]
    fn refuses_a_message_that_is_cut_off() {
        let mut message = Reassembly::default();
        message.push(slice(2, 1, 1)).unwrap();
        assert_eq!(
            message.end(),
            Err(ChunkError::Incomplete {
                received: 1,
                size: 2
            })
        );
    }

    #[test]
    fn cuts_where_the_reference_cuts() {
        let cuts = [
            (3, vec![3]),
            (65_541, vec![65_541]),
            (3_999_967, vec![3_999_967]),
            (3_999_968, vec![3_999_967, 1]),
            (7_999_939, vec![3_999_967, 3_999_967, 5]),
            (9_000_005, vec![3_999_967, 3_999_967, 1_000_071]),
        ];
        for (length, expected) in cuts {
            let slices: Vec<_> = cut(vec![1; length]).collect();
            assert_eq!(
                slices.iter().map(|s| s.bytes.len()).collect::<Vec<_>>(),
                expected
            );
            assert!(slices.iter().all(|s| s.size as usize == expected.len()));
            assert!(slices.iter().zip(1..).all(|(s, n)| s.iteration == n));
        }
    }

    #[test]
    fn puts_together_what_was_cut_and_then_the_next_message() {
        let mut message = Reassembly::default();
        for length in [1, MAX_SLICE, MAX_SLICE + 1, 2 * MAX_SLICE + 9] {
            let sent: Vec<u8> = (0..length).map(|i| (i % 251) as u8).collect();
            let received = cut(sent.clone()).find_map(|s| message.push(s).unwrap());
            assert_eq!(received.unwrap(), sent);
        }
        assert_eq!(message.end(), Ok(()));
    }

    #[test]
    fn a_slice_has_the_bytes_of_the_reference() {
        let encoded = |slice| TaskResult::from(slice).encode_to_vec();
        assert_eq!(
            hex::encode(encoded(Slice {
                size: 1,
                iteration: 1,
                bytes: "abc".into()
            })),
            "080110011a03616263"
        );
        assert_eq!(
            hex::encode(encoded(Slice {
                size: 300,
                iteration: 300,
                bytes: "z".into()
            })),
            "08ac0210ac021a017a"
        );
    }
}
