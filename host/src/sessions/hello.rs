//! What two nodes tell each other in a handshake, encrypted. Nothing of an application: no message waits for a handshake inside it.

use std::time::Duration;

/// Length of what a first handshake message carries.
pub(super) const FIRST_BYTES: usize = Timestamp::BYTES + SECOND_BYTES;
/// Length of what a second one carries.
pub(super) const SECOND_BYTES: usize = 12;

/// What a node says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Hello {
    /// The version of the list that its peers' identity keys are from; 0 for none.
    pub roster: u64,
    /// What it can do, a bit for each.
    pub capabilities: u32,
}

/// When a handshake was begun, by the clock of who began it: seconds and nanoseconds since 1970. Only ever compared with others of
/// the same node: clocks need not agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Timestamp(Duration);

/// What who begins a handshake says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FirstHello {
    pub(super) timestamp: Timestamp,
    pub(super) hello: Hello,
}

impl Timestamp {
    pub(super) const BYTES: usize = 12;

    /// The time `since_1970`, or the next after `self` if that is later: clocks are set back.
    pub(super) fn next(self, since_1970: Duration) -> Self {
        let least = self.0.saturating_add(Duration::from_nanos(1));
        Self(since_1970.max(least))
    }

    pub(super) fn encode(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..8].copy_from_slice(&self.0.as_secs().to_be_bytes());
        bytes[8..].copy_from_slice(&self.0.subsec_nanos().to_be_bytes());
        bytes
    }

    fn read(bytes: &[u8; Self::BYTES]) -> Option<Self> {
        let (seconds, nanos) = bytes.split_first_chunk()?;
        let nanos = u32::from_be_bytes(nanos.try_into().ok()?);
        let form = nanos < 1_000_000_000;
        form.then(|| Self(Duration::new(u64::from_be_bytes(*seconds), nanos)))
    }
}

impl Hello {
    pub(super) fn encode(self) -> [u8; SECOND_BYTES] {
        let mut bytes = [0; SECOND_BYTES];
        bytes[..8].copy_from_slice(&self.roster.to_be_bytes());
        bytes[8..].copy_from_slice(&self.capabilities.to_be_bytes());
        bytes
    }

    /// `None` for anything else than [`encode`](Self::encode) writes.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let (roster, capabilities) = bytes.split_first_chunk()?;
        Some(Self {
            roster: u64::from_be_bytes(*roster),
            capabilities: u32::from_be_bytes(capabilities.try_into().ok()?),
        })
    }
}

impl FirstHello {
    pub(super) fn encode(self) -> [u8; FIRST_BYTES] {
        let mut bytes = [0; FIRST_BYTES];
        bytes[..Timestamp::BYTES].copy_from_slice(&self.timestamp.encode());
        bytes[Timestamp::BYTES..].copy_from_slice(&self.hello.encode());
        bytes
    }

    /// `None` for anything else than [`encode`](Self::encode) writes.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let (timestamp, hello) = bytes.split_first_chunk()?;
        Some(Self {
            timestamp: Timestamp::read(timestamp)?,
            hello: Hello::read(hello)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_increase_when_the_clock_does_not() {
        let first = Timestamp::default().next(Duration::from_secs(100));
        let set_back = first.next(Duration::from_secs(5));
        let later = set_back.next(Duration::from_secs(200));
        assert!(first < set_back && set_back < later);
        assert_eq!(later, Timestamp(Duration::from_secs(200)));
        let last = Timestamp(Duration::MAX);
        assert_eq!(
            last.next(Duration::ZERO),
            last,
            "the end of time does not wrap"
        );
    }

    #[test]
    fn timestamps_sort_as_their_bytes_do_and_come_back_from_them() {
        let times = [0, 1, 999_999_999, 1_000_000_000, 1 << 40].map(Duration::from_nanos);
        let times = times.map(Timestamp);
        assert!(times.map(Timestamp::encode).is_sorted());
        assert_eq!(
            times.map(|time| Timestamp::read(&time.encode())),
            times.map(Some)
        );
    }

    #[test]
    fn refuses_what_it_would_not_write() {
        let hello = Hello {
            roster: 7,
            capabilities: 1,
        };
        let timestamp = Timestamp(Duration::new(1, 999_999_999));
        let first = FirstHello { timestamp, hello };
        let mut bytes = first.encode();
        assert_eq!(FirstHello::read(&bytes), Some(first));
        assert_eq!(FirstHello::read(&bytes[..FIRST_BYTES - 1]), None);
        assert_eq!(FirstHello::read(&[&bytes[..], &[0]].concat()), None);
        bytes[8..12].copy_from_slice(&1_000_000_000u32.to_be_bytes());
        assert_eq!(
            FirstHello::read(&bytes),
            None,
            "nanoseconds that are a second"
        );
        assert_eq!(Hello::read(&hello.encode()), Some(hello));
        assert_eq!(Hello::read(&[0; SECOND_BYTES + 1]), None);
    }
}
