use std::iter;

/// A change of some bytes, as the fuzzed input describes it: five bytes each.
///
/// So the fuzzer changes what it could never have written itself: something sealed or signed.
pub(super) struct Change {
    part: u8,
    how: u8,
    at: u16,
    by: u8,
}

impl Change {
    /// The changes that `input` describes, in order. Bytes that are too few for another are ignored.
    pub(super) fn read(mut input: &[u8]) -> impl Iterator<Item = Self> {
        iter::from_fn(move || {
            let ([part, how, at @ .., by], rest) = input.split_first_chunk::<5>()?;
            input = rest;
            Some(Self {
                part: *part,
                how: *how,
                at: u16::from_be_bytes(*at),
                by: *by,
            })
        })
    }

    /// Which of so many parts is to be changed.
    pub(super) fn part(&self, parts: usize) -> usize {
        usize::from(self.part) % parts
    }

    /// Changes a byte, puts one in, takes one out, or cuts all from there on.
    pub(super) fn apply(&self, bytes: &mut Vec<u8>) {
        let at = usize::from(self.at) % (bytes.len() + 1);
        match (self.how % 5, bytes.get_mut(at)) {
            (0, Some(byte)) => *byte ^= self.by,
            (1, Some(byte)) => *byte = self.by,
            (2, _) => bytes.insert(at, self.by),
            (3, Some(_)) => drop(bytes.remove(at)),
            (4, _) => bytes.truncate(at),
            _ => {}
        }
    }
}
