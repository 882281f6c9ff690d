//! From the text to a [`Policy`]: all that can be wrong in the file is found here, with its line.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use serde::Deserialize;
use time::{Date, Month};
use toml::Spanned;
use toml::value::Datetime;

use super::channels::{ChannelsTable, RosterTable};
use super::inputs::InputTable;
use super::store::StoreTable;
use super::{Approval, Entry, KeyName, PluginName, Policy, PolicyError, Setting};
use crate::handlers::{BUILT_IN, Capability, Limit, Limits, Scope};
use crate::packages::{Digest, Trust};

/// The format that this program reads.
const VERSION: i64 = 1;
/// A name or a reason is one line for people.
const LONGEST_TEXT: usize = 1024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyTable {
    version: Option<Spanned<i64>>,
    #[serde(default)]
    trust: TrustTable,
    #[serde(default)]
    roster: RosterTable,
    #[serde(default)]
    channels: ChannelsTable,
    #[serde(default)]
    store: StoreTable,
    #[serde(default)]
    plugin: BTreeMap<Spanned<String>, PluginTable>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct TrustTable {
    require: Option<Spanned<usize>>,
    #[serde(default)]
    keys: BTreeMap<Spanned<String>, Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct PluginTable {
    digest: Option<Spanned<String>>,
    enabled: Option<Spanned<bool>>,
    record: Option<Spanned<bool>>,
    grants: Option<Spanned<Vec<Spanned<String>>>>,
    approved_by: Option<Spanned<String>>,
    approved_at: Option<Spanned<Datetime>>,
    reason: Option<Spanned<String>>,
    signed_by: Option<Spanned<Vec<Spanned<String>>>>,
    researchers: Option<Spanned<Vec<Spanned<String>>>>,
    experiments: Option<Spanned<Vec<Spanned<String>>>>,
    parties: Option<Spanned<Vec<Spanned<String>>>>,
    until: Option<Spanned<Datetime>>,
    #[serde(default)]
    limits: BTreeMap<Spanned<String>, Spanned<u64>>,
    #[serde(default)]
    inputs: Vec<InputTable>,
    next: Option<ApprovalTable>,
    #[serde(default)]
    previous: Vec<ApprovalTable>,
}

/// The part of [`PluginTable`] that is an approval, where it stands for itself.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct ApprovalTable {
    digest: Spanned<String>,
    grants: Vec<Spanned<String>>,
    approved_by: Spanned<String>,
    approved_at: Spanned<Datetime>,
    reason: Spanned<String>,
}

impl PluginTable {
    fn has_no_approval(&self) -> bool {
        self.digest.is_none()
            && self.grants.is_none()
            && self.approved_by.is_none()
            && self.approved_at.is_none()
            && self.reason.is_none()
            && self.next.is_none()
            && self.previous.is_empty()
    }

    fn take_approval(&mut self) -> Option<ApprovalTable> {
        Some(ApprovalTable {
            digest: self.digest.take()?,
            grants: self.grants.take()?.into_inner(),
            approved_by: self.approved_by.take()?,
            approved_at: self.approved_at.take()?,
            reason: self.reason.take()?,
        })
    }
}

/// See [`Policy::parse`].
pub(super) fn policy(text: &str) -> Result<Policy, PolicyError> {
    let lines = Lines(text);
    let table: PolicyTable = toml::from_str(text).map_err(|error| PolicyError::Line {
        line: lines.of(&error.span().unwrap_or_default()),
        why: error.message().replace('\n', " "),
        todo: "correct that line; host/README.md lists the settings".into(),
    })?;
    match &table.version {
        Some(version) if *version.as_ref() != VERSION => {
            let why = format!(
                "version = {}, this program reads {VERSION}",
                version.as_ref()
            );
            return Err(lines.wrong(&version.span(), why, "use the program that wrote the file"));
        }
        None if !text.trim().is_empty() => {
            return Err(lines.wrong(
                &(0..0),
                "the version is missing",
                "begin the file with `version = 1`",
            ));
        }
        _ => {}
    }
    let trust = lines.trust(table.trust)?;
    let entries = table.plugin.into_iter().map(|(name, table)| {
        let entry = lines.entry(&name, table, &trust)?;
        Ok((entry.name.clone(), entry))
    });
    Ok(Policy {
        entries: entries.collect::<Result<_, _>>()?,
        consortium: lines.roster(table.roster)?,
        channels: lines.channels(table.channels)?,
        store: lines.store(table.store)?,
        trust,
    })
}

/// The text, to tell lines from spans.
pub(super) struct Lines<'a>(&'a str);

impl Lines<'_> {
    pub(super) fn of(&self, span: &Range<usize>) -> usize {
        let before = self.0.get(..span.start).unwrap_or(self.0);
        before.matches('\n').count() + 1
    }

    pub(super) fn wrong(
        &self,
        span: &Range<usize>,
        why: impl Into<String>,
        todo: impl Into<String>,
    ) -> PolicyError {
        PolicyError::Line {
            line: self.of(span),
            why: why.into(),
            todo: todo.into(),
        }
    }

    fn trust(&self, table: TrustTable) -> Result<Trust, PolicyError> {
        let require = table
            .require
            .as_ref()
            .map_or(0, |require| *require.as_ref());
        // A rule that makes no sense is told with the line that asks for it.
        let rule = table.require.as_ref().map(Spanned::span);
        let rule = rule.or_else(|| table.keys.keys().next().map(Spanned::span));
        self.trusted_keys(require, table.keys, &rule.unwrap_or_default())
    }

    fn entry(
        &self,
        name: &Spanned<String>,
        mut table: PluginTable,
        trust: &Trust,
    ) -> Result<Entry, PolicyError> {
        let heading = name.span();
        let name: PluginName = self.name(name)?;
        let mut lines = BTreeMap::new();
        let mut note = |setting: Setting, span: Option<Range<usize>>| {
            if let Some(span) = span {
                lines.insert(setting, self.of(&span));
            }
        };
        note(Setting::Digest, table.digest.as_ref().map(Spanned::span));
        note(Setting::Enabled, table.enabled.as_ref().map(Spanned::span));
        note(Setting::Record, table.record.as_ref().map(Spanned::span));
        note(Setting::Grants, table.grants.as_ref().map(Spanned::span));
        note(
            Setting::SignedBy,
            table.signed_by.as_ref().map(Spanned::span),
        );
        note(
            Setting::Researchers,
            table.researchers.as_ref().map(Spanned::span),
        );
        note(
            Setting::Experiments,
            table.experiments.as_ref().map(Spanned::span),
        );
        note(Setting::Parties, table.parties.as_ref().map(Spanned::span));
        note(Setting::Until, table.until.as_ref().map(Spanned::span));
        let approved = self.approved(&name, &heading, &mut table)?;
        let mut limits = Limits::default();
        for (key, value) in table.limits {
            let limit: Limit = self.value(&key, "see `backchannel plugin list` for the limits")?;
            let set = limits.set(limit, *value.as_ref());
            set.map_err(|error| {
                self.wrong(
                    &value.span(),
                    error.to_string(),
                    "choose a value in that range",
                )
            })?;
            note(Setting::Limit(limit), Some(key.span()));
        }
        let scope = Scope {
            researchers: self.set("researchers", table.researchers)?,
            experiments: self.set("experiments", table.experiments)?,
            parties: self.set("parties", table.parties)?,
            until: table.until.map(|until| self.day(&until)).transpose()?,
        };
        let signed_by = table.signed_by.map_or_else(Vec::new, Spanned::into_inner);
        let signed_by = signed_by.iter().map(|key| self.trusted(key, trust));
        let previous = table.previous.into_iter().map(|table| self.approval(table));
        let (inputs, input_lines) = self.inputs(table.inputs)?;
        Ok(Entry {
            signed_by: signed_by.collect::<Result<_, _>>()?,
            next: table.next.map(|table| self.approval(table)).transpose()?,
            previous: previous.collect::<Result<_, _>>()?,
            // What was installed runs only when it is said; what is built in, unless it is said.
            enabled: table
                .enabled
                .map_or(approved.is_none(), Spanned::into_inner),
            record: table.record.is_some_and(Spanned::into_inner),
            name,
            approved,
            scope,
            limits,
            inputs,
            lines,
            input_lines,
        })
    }

    /// What was approved; a built-in plugin has nothing of it, any other all.
    fn approved(
        &self,
        name: &PluginName,
        heading: &Range<usize>,
        table: &mut PluginTable,
    ) -> Result<Option<Approval>, PolicyError> {
        let built_in = BUILT_IN
            .iter()
            .any(|built_in| built_in.name == name.as_str());
        let none = table.has_no_approval();
        match table.take_approval() {
            Some(table) if !built_in => self.approval(table).map(Some),
            None if built_in && none => Ok(None),
            _ if built_in => Err(self.wrong(
                heading,
                format!(
                    "{name} is built in, with its grants: it takes no digest, grants or approval"
                ),
                "remove these; it can be disabled, limited and given a scope",
            )),
            _ => Err(self.wrong(
                heading,
                format!(
                    "{name} has not all of digest, grants, approved-by, approved-at and reason"
                ),
                "write them, or have `backchannel plugin approve` write them",
            )),
        }
    }

    fn approval(&self, table: ApprovalTable) -> Result<Approval, PolicyError> {
        let digest: Digest = self.value(&table.digest, "take it from `backchannel plugin list`")?;
        let grants = table.grants.iter().map(|grant| self.grant(grant));
        Ok(Approval {
            digest,
            grants: grants.collect::<Result<_, _>>()?,
            by: self.text(table.approved_by)?,
            at: self.moment(&table.approved_at)?,
            reason: self.text(table.reason)?,
        })
    }

    fn grant(&self, name: &Spanned<String>) -> Result<Capability, PolicyError> {
        let found = Capability::ALL
            .into_iter()
            .find(|one| one.name() == name.as_ref());
        found.ok_or_else(|| {
            let all: Vec<_> = Capability::ALL.into_iter().map(Capability::name).collect();
            let why = format!("there is no grant {:?}", name.as_ref());
            self.wrong(&name.span(), why, format!("there are: {}", all.join(", ")))
        })
    }

    fn trusted(&self, name: &Spanned<String>, trust: &Trust) -> Result<KeyName, PolicyError> {
        let (name, span): (KeyName, _) = (self.name(name)?, name.span());
        if trust.keys().contains_key(name.as_str()) {
            return Ok(name);
        }
        let why = format!("there is no key {name} under [trust.keys]");
        Err(self.wrong(&span, why, "add the key, or take the name away"))
    }

    pub(super) fn name<T: std::str::FromStr<Err: ToString>>(
        &self,
        text: &Spanned<String>,
    ) -> Result<T, PolicyError> {
        self.value(text, "write a name of that kind")
    }

    pub(super) fn value<T: std::str::FromStr<Err: ToString>>(
        &self,
        text: &Spanned<String>,
        todo: &str,
    ) -> Result<T, PolicyError> {
        let parsed = text.as_ref().parse();
        parsed.map_err(|error: T::Err| self.wrong(&text.span(), error.to_string(), todo))
    }

    /// A list that limits: empty, it would allow nobody, which is more likely a slip than an intention.
    fn set<T: std::str::FromStr<Err: ToString> + Ord>(
        &self,
        what: &str,
        list: Option<Spanned<Vec<Spanned<String>>>>,
    ) -> Result<Option<BTreeSet<T>>, PolicyError> {
        let Some(list) = list else { return Ok(None) };
        if list.as_ref().is_empty() {
            let why = format!("{what} is empty, which would allow none");
            return Err(self.wrong(
                &list.span(),
                why,
                "remove it to allow all; to allow none, write `enabled = false`",
            ));
        }
        let items = list
            .as_ref()
            .iter()
            .map(|item| self.value(item, "write the id as it is"));
        items.collect::<Result<_, _>>().map(Some)
    }

    pub(super) fn text(&self, text: Spanned<String>) -> Result<String, PolicyError> {
        let bad = text.as_ref().is_empty()
            || text.as_ref().len() > LONGEST_TEXT
            || text.as_ref().chars().any(char::is_control);
        if bad {
            let why = "a text that is empty, too long or holds control characters";
            return Err(self.wrong(&text.span(), why, "write one line"));
        }
        Ok(text.into_inner())
    }

    fn day(&self, until: &Spanned<Datetime>) -> Result<Date, PolicyError> {
        let day = match until.as_ref() {
            Datetime {
                date: Some(date),
                time: None,
                offset: None,
            } => Month::try_from(date.month)
                .ok()
                .and_then(|month| Date::from_calendar_date(date.year.into(), month, date.day).ok()),
            _ => None,
        };
        let why = || format!("{} is no day", until.as_ref());
        day.ok_or_else(|| {
            self.wrong(
                &until.span(),
                why(),
                "write it as 2026-12-31, without quotes; the day still counts, in UTC",
            )
        })
    }

    fn moment(&self, at: &Spanned<Datetime>) -> Result<Datetime, PolicyError> {
        match at.as_ref() {
            Datetime {
                date: Some(_),
                time: Some(_),
                offset: Some(_),
            } => Ok(*at.as_ref()),
            other => {
                let why = format!("{other} is no moment: a day, a time and its distance from UTC");
                Err(self.wrong(
                    &at.span(),
                    why,
                    "write it as 2026-11-23T08:00:00Z, without quotes",
                ))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packages::SigningKey;
    use crate::policy::Place;

    const DIGEST: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000001";

    fn overlap(more: &str) -> String {
        format!(
            "version = 1\n[plugin.overlap]\ndigest = \"{DIGEST}\"\nenabled = true\ngrants = [\"log\"]\n\
             approved-by = \"Ada\"\napproved-at = 2026-11-23T08:00:00Z\nreason = \"trial\"\n{more}"
        )
    }

    /// The line and the words of what is wrong.
    fn wrong(text: &str) -> (usize, String) {
        match policy(text) {
            Err(PolicyError::Line { line, why, todo }) => {
                assert!(!todo.is_empty(), "{why}");
                (line, why)
            }
            other => panic!("{other:?}: {text}"),
        }
    }

    #[test]
    fn names_the_line_of_what_it_does_not_know() {
        let (line, why) = wrong(&overlap("enabeld = false\n"));
        assert!(line == 9 && why.contains("enabeld"), "{line}: {why}");
        let (line, why) = wrong("version = 1\n\n[trust]\nrequire = [\n");
        assert!(line >= 4, "{line}: {why}");
        assert_eq!(
            wrong(&overlap("[plugin.overlap.limits]\nmemory = 1\n")).0,
            10
        );
        assert_eq!(wrong(&overlap("[plugin.Overlap]\nenabled = false\n")).0, 9);
        assert_eq!(wrong(&overlap("").replace("\"log\"", "\"files\"")).0, 5);
        assert_eq!(wrong(&overlap("").replace("sha256:00", "sha256:0x")).0, 3);
    }

    #[test]
    fn refuses_a_version_that_it_does_not_read() {
        assert_eq!(wrong("\nversion = 2\n").0, 2);
        assert_eq!(wrong("[trust]\nrequire = 0\n").0, 1);
        assert_eq!(policy("").expect("nothing said"), Policy::default());
    }

    #[test]
    fn refuses_a_key_that_is_not_there() {
        let (line, why) = wrong(&overlap("signed-by = [\"dr-lee\"]\n"));
        assert!(line == 9 && why.contains("dr-lee"), "{line}: {why}");
        let (line, why) = wrong("version = 1\n[trust]\nrequire = 1\n");
        assert!(line == 3 && why.contains('1'), "{line}: {why}");
        let (line, _) = wrong("version = 1\n[trust.keys]\ndr-lee = \"RWQ\"\n");
        assert_eq!(line, 3);
    }

    #[test]
    fn refuses_one_key_under_two_names() {
        let (_, key) = SigningKey::create("x").expect("a key");
        let text = format!(
            "version = 1\n[trust]\nrequire = 2\n[trust.keys]\na = \"{key}\"\nb = \"{key}\"\n"
        );
        assert_eq!(wrong(&text).0, 3);
    }

    #[test]
    fn refuses_an_approval_that_nobody_answers_for() {
        for missing in ["digest", "grants", "approved-by", "approved-at", "reason"] {
            let text = overlap("");
            let without: Vec<_> = text
                .lines()
                .filter(|line| !line.starts_with(missing))
                .collect();
            assert_eq!(wrong(&without.join("\n")).0, 2, "{missing}");
        }
        assert_eq!(wrong(&overlap("").replace("\"trial\"", "\"\"")).0, 8);
        assert_eq!(wrong(&overlap("").replace("T08:00:00Z", "")).0, 7);
    }

    #[test]
    fn a_built_in_plugin_takes_no_digest() {
        let text = overlap("").replace("plugin.overlap", "plugin.key-request");
        assert_eq!(wrong(&text).0, 2);
        let policy =
            policy("version = 1\n[plugin.key-request.limits]\nmemory-mib = 8\n").expect("limits");
        assert!(policy.allows("key-request") && policy.allows("channel-setup"));
        assert!(!policy.allows("overlap"));
    }

    #[test]
    fn refuses_limits_out_of_range_and_lists_that_allow_nobody() {
        let (line, why) = wrong(&overlap("[plugin.overlap.limits]\nmemory-mib = 0\n"));
        assert!(line == 10 && why.contains("memory-mib"), "{line}: {why}");
        assert_eq!(
            wrong(&overlap("[plugin.overlap.limits]\nmemory-mib = -1\n")).0,
            10
        );
        assert_eq!(wrong(&overlap("parties = []\n")).0, 9);
        assert_eq!(wrong(&overlap("parties = [\"a\\n\"]\n")).0, 9);
        assert_eq!(wrong(&overlap("until = 2026-12-31T00:00:00Z\n")).0, 9);
    }

    #[test]
    fn what_was_installed_runs_only_when_it_is_said() {
        let text = overlap("").replace("enabled = true\n", "");
        assert!(!policy(&text).expect("read").allows("overlap"));
        assert!(policy(&overlap("")).expect("read").allows("overlap"));
    }

    #[test]
    fn tells_the_line_that_decides_or_what_to_add() {
        let text = overlap("until = 2026-12-31\n[plugin.overlap.limits]\nmemory-mib = 64\n");
        let policy = policy(&text).expect("read");
        let name = "overlap".parse().expect("a name");
        let place = |setting| policy.place(&name, setting).to_string();
        assert_eq!(place(Setting::Enabled), "policy.toml:4");
        assert_eq!(place(Setting::Until), "policy.toml:9");
        assert_eq!(
            policy.place(&name, Setting::Limit(Limit::MemoryMib)),
            Place::Line(11)
        );
        assert_eq!(
            place(Setting::Limit(Limit::HostCalls)),
            "default; add `host-calls = …` under [plugin.overlap.limits] in policy.toml"
        );
        assert_eq!(
            place(Setting::Parties),
            "default; add `parties = …` under [plugin.overlap] in policy.toml"
        );
    }
}
