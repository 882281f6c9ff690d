use time::format_description::well_known::Rfc3339;

use crate::roster::{Member, Roster, RosterError};

/// A roster, read and written.
///
/// What must hold: an error names a line that is there; no node and no key is in what was read twice; written in the simplest way, it
/// reads the same. `true` when the text was a roster.
pub fn roster(input: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(input) else {
        return false;
    };
    match Roster::parse(text) {
        Ok(roster) => {
            assert!(roster.issued < roster.expires && roster.version > 0);
            assert!(
                roster
                    .members
                    .is_sorted_by(|one, next| one.node < next.node)
            );
            for (at, member) in roster.members.iter().enumerate() {
                let others = &roster.members[..at];
                assert!(others.iter().all(|other| other.key != member.key));
                assert_eq!(roster.member(&member.node), Some(member));
            }
            assert_eq!(Roster::parse(&written(&roster)), Ok(roster));
            true
        }
        Err(RosterError::Line { line, why, todo }) => {
            let lines = text.matches('\n').count() + 1;
            assert!((1..=lines).contains(&line), "line {line}: {why}");
            assert!(!why.is_empty() && !todo.is_empty());
            false
        }
        Err(RosterError::TooLong(_)) => false,
        Err(error) => panic!("of a text alone: {error}"),
    }
}

fn written(roster: &Roster) -> String {
    let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
    let time = |time: time::OffsetDateTime| time.format(&Rfc3339).expect("a time");
    let mut text = format!(
        "format = 1\nfederation = {}\nversion = {}\nissued = {}\nexpires = {}\n",
        quoted(roster.federation.as_str()),
        roster.version,
        time(roster.issued),
        time(roster.expires)
    );
    for Member {
        node,
        site,
        key,
        minimum_suite,
    } in &roster.members
    {
        let (node, site) = (quoted(node.as_str()), quoted(site));
        text += &format!(
            "[[node]]\nid = {node}\nsite = {site}\nkey = \"{key}\"\nminimum-suite = {minimum_suite}\n"
        );
    }
    text
}
