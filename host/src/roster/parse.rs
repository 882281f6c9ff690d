//! From the text to a [`Roster`]: all that can be wrong in the file alone is found here, with its line.

use std::collections::BTreeMap;
use std::ops::Range;
use std::str::FromStr;

use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use toml::Spanned;
use toml::value::Datetime;

use super::{MINIMUM_SUITE, Member, Roster, RosterError, text};
use crate::message::{FederationId, NodeId};

/// The format that this program reads.
const FORMAT: i64 = 1;
/// The highest suite that a roster may ask for. This program may have fewer, and says so.
const HIGHEST_SUITE: u8 = 9;
/// A site is one line for people, in bytes.
const LONGEST_SITE: usize = 256;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RosterTable {
    format: Spanned<i64>,
    federation: Spanned<String>,
    version: Spanned<u64>,
    issued: Spanned<Datetime>,
    expires: Spanned<Datetime>,
    minimum_suite: Option<Spanned<u8>>,
    #[serde(default)]
    node: Vec<NodeTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct NodeTable {
    id: Spanned<String>,
    site: Spanned<String>,
    key: Spanned<String>,
    minimum_suite: Option<Spanned<u8>>,
}

/// See [`Roster::parse`].
pub(super) fn roster(roster: &str) -> Result<Roster, RosterError> {
    text(roster.as_bytes())?;
    let lines = Lines(roster);
    let table: RosterTable = toml::from_str(roster).map_err(|error| {
        let why = error.message().replace('\n', " ");
        let todo = "correct that line; host/README.md shows a roster";
        lines.wrong(&error.span().unwrap_or_default(), why, todo)
    })?;
    if *table.format.as_ref() != FORMAT {
        let why = format!(
            "format = {}, this program reads {FORMAT}",
            table.format.as_ref()
        );
        return Err(lines.wrong(
            &table.format.span(),
            why,
            "use the program that it was made for",
        ));
    }
    if *table.version.as_ref() == 0 {
        return Err(lines.wrong(
            &table.version.span(),
            "versions begin at 1",
            "count each roster of the federation up",
        ));
    }
    let (issued, expires) = (lines.moment(&table.issued)?, lines.moment(&table.expires)?);
    if expires <= issued {
        let todo = "let it expire some months after it is issued";
        return Err(lines.wrong(
            &table.expires.span(),
            "it expires before it is issued",
            todo,
        ));
    }
    let minimum = match &table.minimum_suite {
        Some(suite) => lines.suite(suite)?,
        None => MINIMUM_SUITE,
    };
    Ok(Roster {
        federation: lines.value::<FederationId>(&table.federation)?,
        version: table.version.into_inner(),
        issued,
        expires,
        members: lines.members(table.node, minimum)?,
    })
}

/// The text, to tell lines from spans.
struct Lines<'a>(&'a str);

impl Lines<'_> {
    fn of(&self, span: &Range<usize>) -> usize {
        let before = self.0.get(..span.start).unwrap_or(self.0);
        before.matches('\n').count() + 1
    }

    fn wrong(
        &self,
        span: &Range<usize>,
        why: impl Into<String>,
        todo: impl Into<String>,
    ) -> RosterError {
        RosterError::Line {
            line: self.of(span),
            why: why.into(),
            todo: todo.into(),
        }
    }

    fn members(&self, nodes: Vec<NodeTable>, minimum: u8) -> Result<Vec<Member>, RosterError> {
        let (mut members, mut keys) = (BTreeMap::new(), BTreeMap::new());
        for node in nodes {
            let member = self.member(&node, minimum)?;
            let line = self.of(&node.id.span());
            if let Some(other) = keys.insert(member.key.to_bytes(), line) {
                let why = format!(
                    "the node of line {other} has the same key: one could pass for the other"
                );
                return Err(self.wrong(
                    &node.key.span(),
                    why,
                    "ask both for `backchannel identity export` again",
                ));
            }
            if let Some((other, _)) = members.insert(member.node.clone(), (line, member)) {
                let why = format!("{} is there twice, on line {other} too", node.id.as_ref());
                return Err(self.wrong(
                    &node.id.span(),
                    why,
                    "keep one of the two, with the key that the node has now",
                ));
            }
        }
        Ok(members.into_values().map(|(_, member)| member).collect())
    }

    fn member(&self, node: &NodeTable, minimum: u8) -> Result<Member, RosterError> {
        let site = node.site.as_ref();
        if site.is_empty() || site.len() > LONGEST_SITE || site.chars().any(char::is_control) {
            let why = "a site that is empty, too long or holds control characters";
            return Err(self.wrong(&node.site.span(), why, "write one line"));
        }
        Ok(Member {
            node: self.value::<NodeId>(&node.id)?,
            site: site.clone(),
            key: self.value(&node.key)?,
            minimum_suite: match &node.minimum_suite {
                Some(suite) => self.suite(suite)?,
                None => minimum,
            },
        })
    }

    fn value<T: FromStr<Err: ToString>>(&self, text: &Spanned<String>) -> Result<T, RosterError> {
        let todo = "copy it again, from the node's `backchannel identity export`";
        let parsed = text.as_ref().parse();
        parsed.map_err(|error: T::Err| self.wrong(&text.span(), error.to_string(), todo))
    }

    fn suite(&self, suite: &Spanned<u8>) -> Result<u8, RosterError> {
        match *suite.as_ref() {
            known @ 1..=HIGHEST_SUITE => Ok(known),
            other => {
                let why = format!("there is no suite {other}");
                Err(self.wrong(
                    &suite.span(),
                    why,
                    "write 2, or 1 for a node that has no other yet",
                ))
            }
        }
    }

    fn moment(&self, at: &Spanned<Datetime>) -> Result<OffsetDateTime, RosterError> {
        // A day alone, or a time without its distance from UTC, is not the same everywhere.
        OffsetDateTime::parse(&at.as_ref().to_string(), &Rfc3339).map_err(|_| {
            let why = format!(
                "{} is no moment: a day, a time and its distance from UTC",
                at.as_ref()
            );
            self.wrong(
                &at.span(),
                why,
                "write it as 2027-05-31T00:00:00Z, without quotes",
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::IdentityKey;
    use crate::primitives::derive_secret_key;

    fn key(seed: u8) -> IdentityKey {
        derive_secret_key(&[seed; 32], b"test").public_key().into()
    }

    fn two() -> String {
        format!(
            "format = 1\nfederation = \"heart-eu\"\nversion = 7\nissued = 2026-11-20T08:00:00Z\nexpires = 2027-05-31T02:00:00+02:00\n\
             [[node]]\nid = \"b\"\nsite = \"B\"\nkey = \"{}\"\n\
             [[node]]\nid = \"a\"\nsite = \"A\"\nkey = \"{}\"\nminimum-suite = 1\n",
            key(2),
            key(1)
        )
    }

    fn wrong(text: &str) -> (usize, String) {
        match roster(text) {
            Err(RosterError::Line { line, why, todo }) => {
                assert!(!todo.is_empty() && !why.contains('\n'), "{why}");
                (line, why)
            }
            other => panic!("{other:?}: {text}"),
        }
    }

    #[test]
    fn names_the_line_of_whatever_is_wrong() {
        for (from, to, line) in [
            ("format = 1", "format = 2", 1),
            ("\"heart-eu\"", "\"\"", 2),
            ("\"heart-eu\"", "\"a\\nb\"", 2),
            ("version = 7", "version = 0", 3),
            ("version = 7", "version = -1", 3),
            ("version = 7", "version = 18446744073709551616", 3),
            ("2026-11-20T08:00:00Z", "2026-11-20", 4),
            ("2026-11-20T08:00:00Z", "2026-11-20T08:00:00", 4),
            ("2026-11-20T08:00:00Z", "\"2026-11-20T08:00:00Z\"", 4),
            ("2027-05-31T02:00:00+02:00", "2026-11-20T08:00:00Z", 5),
            ("[[node]]", "minimum-suite = 0\n[[node]]", 6),
            ("[[node]]", "minimum-suite = 300\n[[node]]", 6),
            ("id = \"b\"", "id = \"\"", 7),
            ("id = \"b\"", "idd = \"b\"", 7),
            ("site = \"B\"", "site = \"\\u001b[2J\"", 8),
            ("key = \"p256:0", "key = \"p256:9", 9),
            ("id = \"a\"", "id = \"b\"", 11),
            ("minimum-suite = 1", "minimum-suite = 10", 14),
        ] {
            let text = two();
            assert!(text.contains(from), "{from}");
            let (found, why) = wrong(&text.replacen(from, to, 1));
            assert_eq!(found, line, "{to}: {why}");
        }
        let one_key = two().replace(&key(1).to_string(), &key(2).to_string());
        let (line, why) = wrong(&one_key);
        assert!(line == 13 && why.contains("line 7"), "{line}: {why}");
    }

    #[test]
    fn refuses_a_roster_that_lacks_something() {
        for missing in [
            "format",
            "federation",
            "version",
            "issued",
            "expires",
            "id",
            "site",
            "key",
        ] {
            let kept: Vec<_> = two()
                .lines()
                .filter(|line| !line.starts_with(missing))
                .map(str::to_owned)
                .collect();
            let (_, why) = wrong(&kept.join("\n"));
            assert!(why.contains(missing), "{missing}: {why}");
        }
        assert!(roster("").is_err());
        let long = format!("{}#{}", two(), "x".repeat(super::super::LONGEST));
        assert!(matches!(roster(&long), Err(RosterError::TooLong(_))));
    }

    #[test]
    fn finds_a_member_by_its_id_and_takes_the_rosters_minimum_where_it_has_none() {
        let roster = roster(&two().replacen("[[node]]", "minimum-suite = 3\n[[node]]", 1))
            .expect("a roster");
        let member = |id: &str| roster.member(&id.parse().expect("an id"));
        assert_eq!(
            member("a").map(|a| (a.key, a.minimum_suite)),
            Some((key(1), 1))
        );
        assert_eq!(
            member("b").map(|b| (b.key, b.minimum_suite)),
            Some((key(2), 3))
        );
        assert_eq!(member("c"), None);
        assert_eq!(roster.expires, time::macros::datetime!(2027-05-31 0:00 UTC));
    }

    #[test]
    fn a_roster_asks_for_suite_2_where_it_says_nothing() {
        let roster = roster(&two()).expect("a roster");
        let minima: Vec<_> = roster
            .members
            .iter()
            .map(|member| member.minimum_suite)
            .collect();
        assert_eq!(minima, [1, 2]);
    }
}
