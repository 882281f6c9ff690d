//! Rations of lines: nobody fills the disk, or drives what matters out of the log, by making one thing happen again and again.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::Event;
use super::event::Stream;

/// Lines of one stream that may come at once.
const BURST: u32 = 50;
/// How often another may follow.
const INTERVAL: Duration = Duration::from_secs(6);
/// How long what is left out is counted before the count is written.
const COUNTED: Duration = Duration::from_secs(60);
/// The most streams. They are named by reasons, plugins and limits, of which a node has few.
const MOST: usize = 1000;

/// What each stream has left.
#[derive(Default)]
pub(super) struct Rations(BTreeMap<Stream, Ration>);

struct Ration {
    left: u32,
    refilled: Instant,
    left_out: u64,
    since: Instant,
}

impl Rations {
    /// Whether `event` is written. Otherwise it is counted.
    pub(super) fn grant(&mut self, event: &Event, now: Instant) -> bool {
        let Some(mut stream) = event.stream() else {
            return true;
        };
        if self.0.len() >= MOST && !self.0.contains_key(&stream) {
            stream.about = String::new();
        }
        let ration = self.0.entry(stream).or_insert_with(|| Ration::full(now));
        ration.refill(now);
        if ration.left > 0 {
            ration.left -= 1;
            return true;
        }
        if ration.left_out == 0 {
            ration.since = now;
        }
        ration.left_out += 1;
        false
    }

    /// The counts that are due, or, when the log is closed, all of them.
    pub(super) fn counted(&mut self, now: Instant, closing: bool) -> Vec<Event> {
        let mut due = Vec::new();
        self.0.retain(|stream, ration| {
            if ration.left_out > 0 && (closing || now.duration_since(ration.since) >= COUNTED) {
                due.push(Event::Suppressed {
                    suppressed: stream.operation.to_owned(),
                    about: stream.about.clone(),
                    count: std::mem::take(&mut ration.left_out),
                });
            }
            ration.refill(now);
            ration.left_out > 0 || ration.left < BURST
        });
        due
    }
}

impl Ration {
    fn full(now: Instant) -> Self {
        Self {
            left: BURST,
            refilled: now,
            left_out: 0,
            since: now,
        }
    }

    fn refill(&mut self, now: Instant) {
        let due = now.duration_since(self.refilled).as_secs() / INTERVAL.as_secs();
        let due = u32::try_from(due).unwrap_or(u32::MAX);
        if due > 0 {
            self.left = self.left.saturating_add(due).min(BURST);
            self.refilled += INTERVAL.saturating_mul(due);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::MessageId;

    fn refused(reason: &'static str) -> Event {
        Event::MessageRefused {
            message: MessageId::of_ciphertext(b""),
            peer: "b".into(),
            researcher_id: "r".into(),
            reason,
            why: String::new(),
        }
    }

    #[test]
    fn a_flood_costs_few_lines_and_is_counted_to_the_last() {
        let (mut rations, begun) = (Rations::default(), Instant::now());
        let written = (0..10_000)
            .filter(|n| rations.grant(&refused("repeated"), begun + Duration::from_millis(*n)))
            .count();

        let end = begun + Duration::from_secs(70);
        let counted = rations.counted(end, false);
        let [Event::Suppressed { about, count, .. }] = &counted[..] else {
            panic!("{counted:?}");
        };
        assert_eq!(about, "repeated");
        assert_eq!(written as u64 + count, 10_000);
        assert!(written <= BURST as usize + 2, "{written}");
    }

    #[test]
    fn one_stream_takes_nothing_from_another() {
        let (mut rations, now) = (Rations::default(), Instant::now());
        while rations.grant(&refused("repeated"), now) {}

        assert!(rations.grant(&refused("in own name"), now));
        assert!(rations.grant(&Event::NodeStopped, now));
    }

    #[test]
    fn forgets_streams_that_are_quiet_again() {
        let (mut rations, now) = (Rations::default(), Instant::now());
        rations.grant(&refused("repeated"), now);

        assert!(rations.counted(now + INTERVAL * BURST, false).is_empty());
        assert!(rations.0.is_empty());
    }
}
