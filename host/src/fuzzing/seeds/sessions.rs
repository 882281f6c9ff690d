//! Frames of suite 2, as they are and with a change in each part.

use super::{Corpus, inner_messages};
use crate::fuzzing::sessions::genuine_frames;

/// Those of all four targets.
pub(super) fn corpora() -> [(&'static str, Corpus); 4] {
    genuine_frames().map(|(target, frame)| {
        let mut corpus = Corpus::from([
            ("unchanged".into(), vec![0]),
            ("frame".into(), [&[1], &frame[..]].concat()),
            (
                "frame-cut".into(),
                [&[1], &frame[..frame.len() - 1]].concat(),
            ),
        ]);
        for part in 0..7 {
            corpus.insert(format!("changed-{part}"), vec![0, part, 0, 0, 9, 1]);
        }
        if target == "session_data" {
            corpus.insert("sealed-nothing".into(), vec![2]);
            for (name, message) in inner_messages() {
                corpus.insert(format!("sealed-{name}"), [&[2], &message[..]].concat());
            }
        }
        (target, corpus)
    })
}
