use std::fs;

use crate::handlers::{Capability, Limit};
use crate::packages::Digest;
use crate::policy::{Approval, Draft, Entry, FILE, Place, Policy, PolicyError, Setting};

/// A `policy.toml`, read and changed.
///
/// What must hold: an error names a line that is there; what was read can be changed by commands, which leave alone what they do not
/// mean, and undo what they did: a plugin approved and removed, a version upgraded and rolled back. `true` when the text was a
/// policy.
pub fn policy(input: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(input) else {
        return false;
    };
    match Policy::parse(text) {
        Ok(policy) => {
            lines_are_there(&policy, text);
            let folder = tempfile::tempdir().expect("a folder");
            fs::write(folder.path().join(FILE), text).expect("written");
            let mut draft = Draft::open(folder.path()).expect("what was read");
            comes_back(&draft, &policy, text);
            survives_changes(&mut draft, &policy);
            true
        }
        Err(PolicyError::Line { line, why, todo }) => {
            assert!(is_line_of(line, text), "line {line}: {why}");
            assert!(!why.is_empty() && !todo.is_empty());
            false
        }
        Err(error) => panic!("of a text alone: {error}"),
    }
}

fn is_line_of(line: usize, text: &str) -> bool {
    (1..=text.matches('\n').count() + 1).contains(&line)
}

fn lines_are_there(policy: &Policy, text: &str) {
    let settings = [
        Setting::Digest,
        Setting::Enabled,
        Setting::Grants,
        Setting::SignedBy,
        Setting::Researchers,
        Setting::Experiments,
        Setting::Parties,
        Setting::Until,
    ];
    let limits = Limit::ALL.map(Setting::Limit);
    for entry in policy.entries() {
        for setting in settings.into_iter().chain(limits) {
            if let Place::Line(line) = policy.place(&entry.name, setting) {
                assert!(is_line_of(line, text), "line {line}: {setting:?}");
            }
        }
        for name in entry.inputs.keys() {
            let line = entry.input_line(name);
            assert!(
                line.is_some_and(|line| is_line_of(line, text)),
                "{name}: {line:?}"
            );
        }
    }
}

/// Written without a change, the file is the same, but for a byte order mark, an end of the last line that was missing, and line ends
/// where they were of two kinds.
fn comes_back(draft: &Draft, policy: &Policy, text: &str) {
    assert_eq!(draft.policy(), policy);
    let written = draft.text();
    let content = |text: &str| text.trim_start_matches('\u{feff}').replace("\r\n", "\n");
    let same = content(&written).trim_end_matches('\n') == content(text).trim_end_matches('\n');
    assert!(same || text.trim().is_empty(), "{written:?}");
    assert_eq!(written.contains("\r\n"), text.contains("\r\n"));
}

fn survives_changes(draft: &mut Draft, policy: &Policy) {
    for entry in policy.entries() {
        let same = draft.set(
            entry.name.as_str(),
            Setting::Enabled,
            Some(entry.enabled.into()),
        );
        if done(same).is_some() {
            assert!(says_the_same(draft.policy(), policy));
        }
    }
    approve_and_remove(draft, policy);
    for entry in policy.entries() {
        upgrade_and_roll_back(draft, entry);
    }
}

fn approve_and_remove(draft: &mut Draft, policy: &Policy) {
    let (name, approval) = ("approved-by-the-fuzzer", approval());
    if policy.entry(name).is_some() || done(draft.approve(name, &approval)).is_none() {
        return;
    }
    let entry = draft.policy().entry(name).expect("an entry");
    assert_eq!((&entry.approved, entry.enabled), (&Some(approval), false));
    draft.remove(name).expect("removed");
    assert!(says_the_same(draft.policy(), policy));
}

fn upgrade_and_roll_back(draft: &mut Draft, before: &Entry) {
    let (name, next) = (before.name.as_str(), approval());
    if before.approved.is_none() || done(draft.upgrade(name, &next)).is_none() {
        return;
    }
    let upgraded = draft.policy().entry(name).expect("an entry");
    let kept: Vec<_> = before.approved.iter().chain(&before.previous).collect();
    assert_eq!(upgraded.approved, Some(next));
    assert_eq!(upgraded.previous.iter().collect::<Vec<_>>(), kept);
    assert_eq!(upgraded.next, None);

    assert_eq!(draft.roll_back(name).expect("back"), before.approved);
    let back = draft.policy().entry(name).expect("an entry");
    let mut without_next = before.clone();
    without_next.next = None;
    assert!(entry_says_the_same(back, &without_next));
}

/// `None` where a command does not understand what is written by hand, and says so.
fn done(result: Result<(), PolicyError>) -> Option<()> {
    match result {
        Ok(()) => Some(()),
        Err(PolicyError::NotATable(_)) => None,
        Err(error) => panic!("{error}"),
    }
}

/// Whether two policies say the same, perhaps on other lines.
fn says_the_same(one: &Policy, other: &Policy) -> bool {
    one.trust == other.trust
        && one.consortium == other.consortium
        && one.channels.suite_1 == other.channels.suite_1
        && one.channels.suite_3 == other.channels.suite_3
        && one.channels.trust_on_first_use == other.channels.trust_on_first_use
        && one.entries().count() == other.entries().count()
        && one
            .entries()
            .zip(other.entries())
            .all(|(one, other)| entry_says_the_same(one, other))
}

fn entry_says_the_same(one: &Entry, other: &Entry) -> bool {
    one.name == other.name
        && one.approved == other.approved
        && one.enabled == other.enabled
        && one.signed_by == other.signed_by
        && one.scope == other.scope
        && one.limits == other.limits
        && one.inputs == other.inputs
        && one.next == other.next
        && one.previous == other.previous
}

fn approval() -> Approval {
    Approval {
        digest: Digest::of(b"the next version"),
        grants: [Capability::Log].into(),
        by: "Ada".into(),
        at: "2026-11-23T08:00:00Z".parse().expect("a moment"),
        reason: "trial".into(),
    }
}
