//! No key and nonce is used twice: a message's key comes from its salt.

use std::collections::BTreeMap;

use crate::sandbox::evidence::Evidence;

pub(super) fn broken(evidence: &Evidence<'_>) -> Vec<String> {
    let mut used: BTreeMap<(&[u8], &[u8]), u64> = BTreeMap::new();
    let again = evidence.seen.overlays.iter().filter_map(|overlay| {
        let (n, message) = (overlay.n, &overlay.message);
        let first = used.insert((&message.salt, &message.nonce), n)?;
        let source = &message.source;
        Some(format!("#{n} of {source} has salt and nonce of #{first}"))
    });
    again.collect()
}

#[cfg(test)]
mod tests {
    use super::super::sample::Sample;
    use super::*;

    #[test]
    fn finds_a_salt_and_nonce_that_come_again() {
        let mut sample = Sample::new();
        sample.relayed(b"one");
        sample.relayed(b"other");
        sample.holds(broken);

        let first = &sample.seen.overlays[0].message;
        let (salt, nonce) = (first.salt.clone(), first.nonce.clone());
        sample.relayed(b"again");
        let last = sample.seen.overlays.last_mut().expect("there");
        let last = &mut last.message;
        (last.salt, last.nonce) = (salt, nonce);
        assert_eq!(broken(&sample.evidence()).len(), 1);
    }
}
