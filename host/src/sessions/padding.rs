//! Padding to size classes: a share's length would tell its size, and a message's length its kind.
//!
//! A length is rounded up so that of its leading bits only about log₂ log₂ are left: "Padmé" (Nikitin et al., *Reducing Metadata
//! Leakage from Encrypted Files and Communication with PURBs*, PoPETs 2019, 4). At most 12 % are added. Everything up to
//! [`LEAST`] bytes is of one class.

use crate::primitives::put;

/// The smallest class, in bytes: the key and share messages of the reference's protocols fit.
pub(super) const LEAST: usize = 512;

const LENGTH_BYTES: usize = 4;

/// Appends `content` after its length, with zeros up to its class.
pub(super) fn pad(to: &mut Vec<u8>, content: &[u8]) {
    let padded = to.len() + padded_bytes(content.len());
    put(to, content);
    to.resize(padded, 0);
}

/// How long `content` bytes get.
pub(super) fn padded_bytes(content: usize) -> usize {
    let length = content.saturating_add(LENGTH_BYTES).max(LEAST);
    let exponent = length.ilog2();
    let kept = exponent.ilog2() + 1;
    let dropped = (1 << (exponent - kept)) - 1;
    length.saturating_add(dropped) & !dropped
}

/// Leaves the content, if these are the bytes that [`pad`] makes of it; else `None`. In place: there is no other copy to erase.
pub(super) fn unpad(padded: &mut Vec<u8>) -> Option<()> {
    let content = content_of(padded)?.len();
    padded.truncate(LENGTH_BYTES + content);
    padded.drain(..LENGTH_BYTES);
    Some(())
}

fn content_of(padded: &[u8]) -> Option<&[u8]> {
    let (length, rest) = padded.split_first_chunk::<LENGTH_BYTES>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (content, zeros) = rest.split_at_checked(length)?;
    let whole = padded.len() == padded_bytes(length) && zeros.iter().all(|byte| *byte == 0);
    whole.then_some(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_one_class_have_one_length() {
        assert_eq!(padded_bytes(0), LEAST);
        assert_eq!(padded_bytes(LEAST - LENGTH_BYTES), LEAST);
        assert_eq!(padded_bytes(LEAST - LENGTH_BYTES + 1), 544);
        // The paper's example: from 2²³ on, classes are 2¹⁸ apart.
        let large = 9 << 20;
        assert_eq!(padded_bytes(large - LENGTH_BYTES), large);
        assert_eq!(padded_bytes(large - LENGTH_BYTES + 1), large + (1 << 18));
    }

    #[test]
    fn no_more_than_an_eighth_is_added() {
        for content in (0..20_000).chain([1 << 20, (1 << 20) + 1, 100 << 20]) {
            let (padded, length) = (padded_bytes(content), content + LENGTH_BYTES);
            assert!(padded >= length);
            assert!(
                padded == LEAST || (padded - length) * 8 < length,
                "{content}"
            );
        }
    }

    #[test]
    fn content_comes_back_and_what_pad_would_not_write_is_refused() {
        for length in [0, 1, 507, 508, 509, 5000] {
            let content = vec![9; length];
            let mut padded = Vec::new();
            pad(&mut padded, &content);
            assert_eq!(content_of(&padded[..padded.len() - 1]), None);
            assert_eq!(content_of(&[&padded[..], &[0]].concat()), None);
            assert_eq!(unpad(&mut padded), Some(()));
            assert_eq!(padded, content);
        }
        let mut padded = b"header".to_vec();
        pad(&mut padded, b"content");
        let mut padded = padded.split_off(b"header".len());
        assert_eq!(content_of(&padded), Some(&b"content"[..]));
        *padded.last_mut().expect("a byte") = 1;
        assert_eq!(content_of(&padded), None);
        padded[..4].fill(0xff);
        assert_eq!(content_of(&padded), None);
        assert_eq!(content_of(&[0; 3]), None);
    }
}
