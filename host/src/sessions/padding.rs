//! Padding to size classes: a share's length would tell its size, and a message's length its kind.
//!
//! A length is rounded up so that of its leading bits only about log₂ log₂ are left: "Padmé" (Nikitin et al., *Reducing Metadata
//! Leakage from Encrypted Files and Communication with PURBs*, PoPETs 2019, 4). At most 12 % are added. Everything up to
//! [`LEAST`] bytes is of one class.

use zeroize::Zeroizing;

use crate::primitives::put;

/// The smallest class, in bytes: the key and share messages of the reference's protocols fit.
pub(super) const LEAST: usize = 512;

const LENGTH_BYTES: usize = 4;

/// `content` after its length, with zeros up to its class.
pub(super) fn pad(content: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut padded = Zeroizing::new(Vec::with_capacity(padded_bytes(content.len())));
    put(&mut padded, content);
    padded.resize(padded_bytes(content.len()), 0);
    padded
}

/// How long `content` bytes get.
pub(super) fn padded_bytes(content: usize) -> usize {
    let length = content.saturating_add(LENGTH_BYTES).max(LEAST);
    let exponent = length.ilog2();
    let kept = exponent.ilog2() + 1;
    let dropped = (1 << (exponent - kept)) - 1;
    length.saturating_add(dropped) & !dropped
}

/// The content, if these are the bytes that [`pad`] makes of it.
pub(super) fn unpad(padded: &[u8]) -> Option<&[u8]> {
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
            let padded = pad(&content);
            assert_eq!(unpad(&padded), Some(&content[..]));
            assert_eq!(unpad(&padded[..padded.len() - 1]), None);
            assert_eq!(unpad(&[&padded[..], &[0]].concat()), None);
        }
        let mut padded = pad(b"content");
        *padded.last_mut().expect("a byte") = 1;
        assert_eq!(unpad(&padded), None);
        padded[..4].fill(0xff);
        assert_eq!(unpad(&padded), None);
        assert_eq!(unpad(&[0; 3]), None);
    }
}
