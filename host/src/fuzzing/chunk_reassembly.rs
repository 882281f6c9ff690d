use std::sync::LazyLock;

use prost::Message;
use prost::bytes::Bytes;

use crate::message::MAX_MESSAGE_BYTES;
use crate::proto::researcher::TaskResult;
use crate::transport::chunks::{MAX_SLICE, MAX_SLICES, Reassembly, Slice, cut};

/// A message put together from slices.
///
/// The first byte of the input says what the rest is. 0: slices as a node sends them, each a protobuf message after its length.
/// 1: the same, each slice filled up to the largest size, so that few bytes can reach the limits. 2: a message to be cut.
///
/// What must hold: a slice is taken exactly when it is the next one of its message, whose size is announced alike in each and is
/// in bounds; no more than [`MAX_MESSAGE_BYTES`] is ever held; what comes out is the slices one after another, and what was
/// cut comes back. `true` when a message came out.
pub fn chunk_reassembly(input: &[u8]) -> bool {
    let Some((what, rest)) = input.split_first() else {
        return false;
    };
    match what % 3 {
        0 => collect(rest, None),
        1 => collect(rest, Some(&FULL)),
        _ => cut_and_collect(rest),
    }
}

static FULL: LazyLock<Bytes> = LazyLock::new(|| vec![0x5a; MAX_SLICE].into());

fn collect(mut wire: &[u8], filling: Option<&Bytes>) -> bool {
    let mut message = Reassembly::default();
    let mut model = Model::default();
    let mut came_out = false;
    while let Ok(part) = TaskResult::decode_length_delimited(&mut wire) {
        let mut slice = Slice::from(part);
        if let Some(filling) = filling {
            slice.bytes = filling.clone();
        }
        let expected = model.push(&slice);
        match message.push(slice) {
            Ok(None) => assert_eq!(expected, Some(None)),
            Ok(whole @ Some(_)) => {
                came_out = true;
                assert!(expected == Some(whole), "another message came out");
            }
            Err(error) => {
                assert_eq!(expected, None, "{error}");
                (message, model) = Default::default();
            }
        }
        assert_eq!(message.held(), model.length());
        assert!(message.held() <= MAX_MESSAGE_BYTES);
    }
    assert_eq!(message.end().is_ok(), model.slices.is_empty());
    came_out
}

/// What a [`Reassembly`] must do, written down in the simplest way.
#[derive(Default)]
struct Model {
    size: i32,
    slices: Vec<Bytes>,
}

impl Model {
    fn length(&self) -> usize {
        self.slices.iter().map(Bytes::len).sum()
    }

    /// `None`: it must be refused. Else what comes out.
    fn push(&mut self, slice: &Slice) -> Option<Option<Bytes>> {
        if self.slices.is_empty() {
            self.size = slice.size;
        }
        let next = i32::try_from(self.slices.len()).ok()? + 1;
        let good = (1..=MAX_SLICES).contains(&slice.size)
            && slice.size == self.size
            && slice.iteration == next
            && self.length() + slice.bytes.len() <= MAX_MESSAGE_BYTES;
        if !good {
            return None;
        }
        self.slices.push(slice.bytes.clone());
        if next < self.size {
            return Some(None);
        }
        let whole = std::mem::take(&mut self.slices).concat();
        Some(Some(whole.into()))
    }
}

/// The length comes first, as a number of largest slices and some bytes more or fewer.
fn cut_and_collect(input: &[u8]) -> bool {
    let Some(([slices, more @ ..], pattern)) = input.split_first_chunk::<3>() else {
        return false;
    };
    let length = usize::from(slices % 4) * MAX_SLICE;
    let length = length.saturating_add_signed(i16::from_be_bytes(*more).into());
    let mut sent = pattern.repeat(length.div_ceil(pattern.len().max(1)));
    sent.truncate(length);
    let sent = Bytes::from(sent);

    let slices = cut(sent.clone());
    assert_eq!(slices.len(), sent.len().div_ceil(MAX_SLICE));
    let mut message = Reassembly::default();
    let mut received = None;
    for slice in slices {
        assert!(slice.bytes.len() <= MAX_SLICE);
        assert_eq!(received, None, "a slice after the last");
        received = message.push(slice).expect("what was cut is taken");
    }
    assert!(received.unwrap_or_default() == sent, "another message");
    assert_eq!(message.end(), Ok(()));
    !sent.is_empty()
}
