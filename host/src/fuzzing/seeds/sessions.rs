//! Frames of suites 2 and 3, as they are and with a change in each part.

use super::{Corpus, inner_messages};
use crate::fuzzing::sessions::{IN_SUITE_3, genuine_frames};
use crate::sessions::Suite;

/// Those of all four targets.
pub(super) fn corpora() -> impl Iterator<Item = (&'static str, Corpus)> {
    let of_suites = Suite::ALL.map(|suite| {
        let frames = genuine_frames(suite).into_iter();
        frames.map(move |(target, frame)| (target, of_frame(suite, &frame)))
    });
    let sealed = std::iter::once(("session_data", sealed_by_the_peer()));
    of_suites.into_iter().flatten().chain(sealed)
}

fn of_frame(suite: Suite, frame: &[u8]) -> Corpus {
    let (bit, name) = match suite {
        Suite::Two => (0, ""),
        Suite::Three => (IN_SUITE_3, "suite-3-"),
    };
    let cut = &frame[..frame.len() - 1];
    let mut corpus = Corpus::from([
        (format!("{name}unchanged"), vec![bit]),
        (format!("{name}frame"), [&[bit | 1], frame].concat()),
        (format!("{name}frame-cut"), [&[bit | 1], cut].concat()),
    ]);
    for part in 0..7 {
        let changed = vec![bit, part, 0, 0, 9, 1];
        corpus.insert(format!("{name}changed-{part}"), changed);
    }
    corpus
}

fn sealed_by_the_peer() -> Corpus {
    let messages = inner_messages().into_iter();
    let sealed =
        messages.map(|(name, message)| (format!("sealed-{name}"), [&[2], &message[..]].concat()));
    let nothing = ("sealed-nothing".to_owned(), vec![2]);
    sealed.chain([nothing]).collect()
}
