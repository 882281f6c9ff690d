use crate::message::MAX_MESSAGE_BYTES;
use crate::report::Report;
use crate::trace::{Bytes, Trace, TraceError, each_bytes};

/// The most bytes that all secrets and contents of a trace may come to for it to be shown here: a handle of a few letters may stand
/// for a whole message, and to read many of those takes longer than an input may.
const MOST_SHOWN: usize = 1 << 20;

/// A trace, as it comes from another node or another desk.
///
/// What must hold: what was read is written so that the same is read, and is whole then; a byte changed there, and an end that is
/// missing, are noticed; no handle makes more of its few letters than a message can have; an error names a line that is there; and
/// what was read can be shown, in lines that move no terminal. `true` when it was a trace.
pub fn trace(input: &[u8]) -> bool {
    let trace = match Trace::read(input) {
        Ok(trace) => trace,
        Err(TraceError::Line { line, why }) => {
            assert!(
                !why.is_empty() && is_line_of(line, input),
                "line {line}: {why}"
            );
            return false;
        }
        Err(_) => return false,
    };
    let written = written(&trace);
    comes_back(&trace, &written);
    cannot_be_changed(&written, place(input));
    if bytes_in(&trace) <= MOST_SHOWN {
        can_be_shown(&trace);
    }
    true
}

fn written(trace: &Trace) -> Vec<u8> {
    let mut written = Vec::new();
    trace.write(&mut written).expect("written");
    written
}

fn is_line_of(line: usize, input: &[u8]) -> bool {
    let lines = input.split_inclusive(|byte| *byte == b'\n');
    (1..=lines.count()).contains(&line)
}

fn comes_back(trace: &Trace, bytes: &[u8]) {
    let again = Trace::read(bytes).expect("what was written");
    let mut whole = trace.clone();
    whole.whole = true;
    assert_eq!(again, whole);
    assert!(written(&again) == bytes, "it is written in two ways");
}

/// A place that depends on the input, and on nothing else.
fn place(input: &[u8]) -> usize {
    let mixed = |sum: usize, byte: &u8| sum.wrapping_mul(31).wrapping_add(usize::from(*byte));
    input.iter().fold(input.len(), mixed)
}

fn cannot_be_changed(written: &[u8], at: usize) {
    // Only its line end may be missing.
    let at = at % (written.len() - 1);
    let mut changed = written.to_vec();
    changed[at] ^= 1;
    assert!(!is_whole(&changed), "changed at {at}");
    assert!(!is_whole(&written[..at]), "cut at {at}");
    let first = written.iter().position(|byte| *byte == b'\n');
    if first.is_some_and(|first| first <= at) {
        Trace::read(&written[..at]).expect("as far as it goes");
    }
}

fn is_whole(bytes: &[u8]) -> bool {
    Trace::read(bytes).is_ok_and(|trace| trace.whole)
}

/// How many bytes all of it stands for.
fn bytes_in(trace: &Trace) -> usize {
    let mut count = 0;
    for mut session in trace.sessions.iter().cloned() {
        each_bytes(&mut session, &mut |bytes: &mut Bytes| {
            assert!(bytes.len() <= MAX_MESSAGE_BYTES, "{} bytes", bytes.len());
            count += bytes.len();
        });
    }
    count
}

fn can_be_shown(trace: &Trace) {
    let report = Report::of(trace);
    let text = report.to_string();
    assert!(
        !text.replace('\n', "").contains(char::is_control),
        "{text:?}"
    );
    for session in &trace.sessions {
        let calls = session.calls.iter();
        let host_calls = calls.clone().flat_map(|call| &call.host_calls);
        let ends = calls.flat_map(|call| call.ended.lines());
        for line in host_calls.map(ToString::to_string).chain(ends) {
            assert!(!line.contains(char::is_control), "{line:?}");
        }
    }
}
