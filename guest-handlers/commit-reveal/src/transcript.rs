use backchannel_sdk::{ByteArray, Start};
use sha2::{Digest as _, Sha256};

/// A SHA-256 hash.
pub type Digest = ByteArray<32>;

/// What parties have to have seen alike, item by item, as a hash that they compare.
///
/// Each item goes in with its length before it, so no two lists of items hash alike.
#[derive(Clone)]
pub struct Transcript(Sha256);

impl Transcript {
    /// Begins with a run as the researcher asked for it: protocol, researcher, name, parties and parameters. `purpose` keeps
    /// apart what one run hashes for different ends.
    pub fn of(start: &Start, purpose: &str) -> Self {
        let names = [&start.protocol, &start.researcher_id, &start.run];
        let mut transcript = Self(Sha256::new()).with(b"backchannel").with(purpose);
        for name in names.into_iter().chain(&start.parties) {
            transcript = transcript.with(name);
        }
        transcript.with(&start.params)
    }

    /// Goes on with one item.
    pub fn with(mut self, item: impl AsRef<[u8]>) -> Self {
        let item = item.as_ref();
        self.0.update((item.len() as u64).to_be_bytes());
        self.0.update(item);
        self
    }

    /// The hash of all items so far.
    pub fn digest(self) -> Digest {
        ByteArray(self.0.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> Start {
        Start {
            protocol: "protocol".into(),
            researcher_id: "researcher".into(),
            run: "run".into(),
            node_id: "a".into(),
            parties: vec!["a".into(), "b".into()],
            params: vec![0x80],
        }
    }

    fn digest(start: &Start) -> Digest {
        Transcript::of(start, "test").digest()
    }

    #[test]
    fn another_run_party_order_or_parameter_is_another_transcript() {
        let others: [fn(&mut Start); 6] = [
            |start| start.protocol = "other".into(),
            |start| start.researcher_id = "other".into(),
            |start| start.run = "other".into(),
            |start| start.parties.reverse(),
            |start| start.parties = vec!["ab".into()],
            |start| start.params = vec![0x81, 0xa1, b'x', 1],
        ];
        for change in others {
            let mut other = start();
            change(&mut other);
            assert_ne!(digest(&start()), digest(&other));
        }
    }

    #[test]
    fn every_party_of_a_run_has_the_same_transcript() {
        let other = Start {
            node_id: "b".into(),
            ..start()
        };
        assert_eq!(digest(&start()), digest(&other));
    }

    #[test]
    fn items_cannot_be_moved_across_their_bounds() {
        let of = |items: &[&str]| {
            let transcript = Transcript::of(&start(), "test");
            let items = items.iter();
            items.fold(transcript, Transcript::with).digest()
        };
        assert_ne!(of(&["ab", "c"]), of(&["a", "bc"]));
        assert_ne!(of(&["a"]), of(&["a", ""]));
    }
}
