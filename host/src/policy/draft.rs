//! Changing `policy.toml` as an editor would: what is not meant stays as it is, comments and order included.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table, Value};

use super::{Approval, Policy, PolicyError, Setting, path, read_text};
use crate::files::write_whole;

/// How long a command waits for another that changes the policy.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a new file begins with.
const BEGINNING: &str = "\
# What this node allows which plugin: host/README.md explains each setting. After a change by hand:
# backchannel plugin reload --data DIR
version = 1
";

/// A policy that is being changed. While it lives, no other command can change it.
pub struct Draft {
    path: PathBuf,
    before: String,
    document: DocumentMut,
    policy: Policy,
    _lock: File,
}

impl Draft {
    /// Takes the policy of a data directory to be changed. One that cannot be used cannot be changed either.
    pub fn open(data: &Path) -> Result<Self, PolicyError> {
        let lock = lock(&data.join("policy.lock"))?;
        let path = path(data);
        let before = read_text(&path)?;
        let policy = Policy::parse(&before)?;
        let text = if before.trim().is_empty() {
            BEGINNING
        } else {
            &before
        };
        let document = text.parse::<DocumentMut>();
        let document = document.map_err(|error| PolicyError::Line {
            line: 1,
            why: error.message().to_owned(),
            todo: "correct the file".into(),
        })?;
        Ok(Self {
            path,
            before,
            document,
            policy,
            _lock: lock,
        })
    }

    /// What it says so far.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Allows suite 1 with whomever no identity key is known of, as a network of Fed-BioMed needs it. What the policy says of that already
    /// stays. Says whether anything changed.
    pub fn join_fedbiomed(&mut self) -> Result<bool, PolicyError> {
        if self.policy.channels.suite_1_line.is_some() {
            return Ok(false);
        }
        let channels = self.document.entry("channels");
        let channels = channels.or_insert_with(|| Item::Table(Table::new()));
        channels["suite-1"] = toml_edit::value("any");
        self.changed()?;
        Ok(true)
    }

    /// Makes the first entry of an installed plugin. It is not enabled by that.
    pub fn approve(&mut self, plugin: &str, approval: &Approval) -> Result<(), PolicyError> {
        let table = self.entry(plugin)?;
        write_approval(table, approval);
        set(table, Setting::Enabled.key(), false.into());
        self.changed()
    }

    /// Approves the same file anew, perhaps with other grants. Whether it is enabled stays.
    pub fn approve_again(&mut self, plugin: &str, approval: &Approval) -> Result<(), PolicyError> {
        write_approval(self.entry(plugin)?, approval);
        self.changed()
    }

    /// Notes what may come after what is approved now.
    pub fn approve_next(&mut self, plugin: &str, approval: &Approval) -> Result<(), PolicyError> {
        let mut next = Table::new();
        write_approval(&mut next, approval);
        self.entry(plugin)?.insert("next", Item::Table(next));
        self.changed()
    }

    /// Puts `approval` in place of what is approved now, which can be gone back to.
    pub fn upgrade(&mut self, plugin: &str, approval: &Approval) -> Result<(), PolicyError> {
        let entry = self.known(plugin)?;
        let kept: Vec<_> = entry
            .approved
            .iter()
            .chain(&entry.previous)
            .cloned()
            .collect();
        let table = self.entry(plugin)?;
        table.remove("next");
        write_approval(table, approval);
        write_previous(table, &kept)?;
        self.changed()
    }

    /// Goes back to what was approved before; hands it back. `None`: nothing was.
    pub fn roll_back(&mut self, plugin: &str) -> Result<Option<Approval>, PolicyError> {
        let entry = self.known(plugin)?;
        let Some((newest, older)) = entry.previous.split_first() else {
            return Ok(None);
        };
        let (newest, older) = (newest.clone(), older.to_vec());
        let table = self.entry(plugin)?;
        write_approval(table, &newest);
        write_previous(table, &older)?;
        self.changed()?;
        Ok(Some(newest))
    }

    /// Sets one setting of a plugin, or with `None` takes it away.
    pub fn set(
        &mut self,
        plugin: &str,
        setting: Setting,
        value: Option<Value>,
    ) -> Result<(), PolicyError> {
        let table = self.entry(plugin)?;
        let table = match setting {
            Setting::Limit(_) => table_in(table, "limits", &format!("plugin.{plugin}.limits"))?,
            _ => table,
        };
        match value {
            Some(value) => set(table, setting.key(), value),
            None => {
                table.remove(setting.key());
            }
        }
        self.changed()
    }

    /// Takes away all it says of a plugin.
    pub fn remove(&mut self, plugin: &str) -> Result<(), PolicyError> {
        if let Some(plugins) = self
            .document
            .get_mut("plugin")
            .and_then(Item::as_table_like_mut)
        {
            plugins.remove(plugin);
        }
        self.changed()
    }

    /// Writes it: whole, or not at all.
    pub fn save(self) -> Result<Policy, PolicyError> {
        let failed = |source| PolicyError::Io {
            path: self.path.clone(),
            source,
        };
        if read_text(&self.path)? != self.before {
            return Err(PolicyError::Changed);
        }
        // Who may read it is the operator's decision; at first nobody else.
        let mode =
            std::fs::metadata(&self.path).map_or(0o600, |there| there.permissions().mode() & 0o777);
        write_whole(&self.path, self.text().as_bytes(), mode).map_err(failed)?;
        Ok(self.policy)
    }

    /// The text as it is to be written. Lines end as they did: `toml_edit` reads either kind and writes line feeds.
    pub(crate) fn text(&self) -> String {
        let text = self.document.to_string().replace("\r\n", "\n");
        match self.before.contains("\r\n") {
            true => text.replace('\n', "\r\n"),
            false => text,
        }
    }

    fn known(&self, plugin: &str) -> Result<&super::Entry, PolicyError> {
        let entry = self.policy.entry(plugin);
        entry.ok_or_else(|| PolicyError::NoEntry(plugin.to_owned()))
    }

    /// The table of a plugin, made when there is none.
    fn entry(&mut self, plugin: &str) -> Result<&mut Table, PolicyError> {
        let plugins = table_in(&mut self.document, "plugin", "plugin")?;
        plugins.set_implicit(true);
        table_in(plugins, plugin, &format!("plugin.{plugin}"))
    }

    /// A change that cannot be read back is no change: found before it is written.
    fn changed(&mut self) -> Result<(), PolicyError> {
        self.policy = Policy::parse(&self.document.to_string())?;
        Ok(())
    }
}

fn lock(path: &Path) -> Result<File, PolicyError> {
    let failed = |source| PolicyError::Io {
        path: path.to_owned(),
        source,
    };
    let opened = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path);
    let file = opened.map_err(failed)?;
    let began = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
            Err(TryLockError::WouldBlock) if began.elapsed() > PATIENCE => {
                return Err(PolicyError::Busy);
            }
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

fn table_in<'a>(
    parent: &'a mut Table,
    key: &str,
    heading: &str,
) -> Result<&'a mut Table, PolicyError> {
    let item = parent
        .entry(key)
        .or_insert_with(|| Item::Table(Table::new()));
    item.as_table_mut()
        .ok_or_else(|| PolicyError::NotATable(heading.to_owned()))
}

/// A new value in place of the old one; a comment behind it stays.
fn set(table: &mut Table, key: &str, mut value: Value) {
    match table.get_mut(key).and_then(Item::as_value_mut) {
        Some(old) => {
            *value.decor_mut() = old.decor().clone();
            *old = value;
        }
        None => {
            table.insert(key, Item::Value(value));
        }
    }
}

fn write_approval(table: &mut Table, approval: &Approval) {
    let grants: Array = approval.grants.iter().map(|grant| grant.name()).collect();
    set(table, "digest", approval.digest.to_string().into());
    set(table, "grants", grants.into());
    set(table, "approved-by", approval.by.as_str().into());
    set(table, "approved-at", approval.at.into());
    set(table, "reason", approval.reason.as_str().into());
}

/// Newest first. Those that are there already keep their comments.
fn write_previous(table: &mut Table, previous: &[Approval]) -> Result<(), PolicyError> {
    let there = match table.remove("previous") {
        None => Vec::new(),
        Some(Item::ArrayOfTables(there)) => there.into_iter().collect(),
        Some(_) => return Err(PolicyError::NotATable("previous".into())),
    };
    if previous.is_empty() {
        return Ok(());
    }
    let mut tables = ArrayOfTables::new();
    for approval in previous {
        let digest = approval.digest.to_string();
        let same = |table: &&Table| table.get("digest").and_then(Item::as_str) == Some(&digest);
        let mut one = there.iter().find(same).cloned().unwrap_or_default();
        write_approval(&mut one, approval);
        tables.push(one);
    }
    table.insert("previous", Item::ArrayOfTables(tables));
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::handlers::{Capability, Limit};
    use crate::packages::Digest;

    fn approval(of: &str) -> Approval {
        Approval {
            digest: Digest::of(of.as_bytes()),
            grants: [Capability::Log].into(),
            by: "Ada".into(),
            at: "2026-11-23T08:00:00Z".parse().expect("a moment"),
            reason: "trial".into(),
        }
    }

    /// What a change makes of the file.
    fn changed(before: &str, change: impl FnOnce(&mut Draft)) -> String {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("policy.toml");
        fs::write(&path, before).expect("written");
        let mut draft = Draft::open(folder.path()).expect("a policy");
        change(&mut draft);
        draft.save().expect("saved");
        fs::read_to_string(path).expect("there")
    }

    fn overlap() -> String {
        changed("", |draft| {
            draft.approve("overlap", &approval("1")).expect("approved")
        })
    }

    #[test]
    fn joining_fedbiomed_changes_nothing_that_was_said_of_suite_1() {
        let joined = |before: &str| changed(before, |draft| drop(draft.join_fedbiomed()));
        for said in ["[]", "\"any\"", "[\"b\"]"] {
            let before = format!("version = 1\n[channels]\nsuite-1 = {said}\n");
            assert_eq!(joined(&before), before);
        }
        for before in ["", "version = 1\n[channels]\ntrust-on-first-use = true\n"] {
            let after = Policy::parse(&joined(before)).expect("a policy").channels;
            assert_eq!(after.suite_1, crate::policy::Chosen::Anybody);
            assert_eq!(after.trust_on_first_use, !before.is_empty());
        }
    }

    #[test]
    fn keeps_comments_and_order() {
        let before = "# ours\nversion = 1 # one\n\n[plugin.key-request] # built in\n# why: see ticket 7\nenabled = true # for now\n\n[trust]\nrequire = 0\n";

        let after = changed(before, |draft| {
            draft
                .set("key-request", Setting::Enabled, Some(false.into()))
                .expect("set");
        });

        assert_eq!(after, before.replace("enabled = true", "enabled = false"));
    }

    #[test]
    fn keeps_the_line_ends_of_the_editor_that_wrote_it() {
        let before = "version = 1 # one\r\n\r\n[trust]\r\nrequire = 0\r\n";

        let after = changed(before, |draft| {
            draft.approve("overlap", &approval("1")).expect("approved")
        });

        assert!(after.starts_with(before), "{after:?}");
        assert_eq!(after.matches('\n').count(), after.matches("\r\n").count());
        assert!(Policy::parse(&after).is_ok());
    }

    #[test]
    fn an_approval_is_written_so_that_it_reads_back_and_is_not_enabled() {
        let text = overlap();
        let policy = Policy::parse(&text).expect("read back");
        let entry = policy.entry("overlap").expect("an entry");
        assert_eq!(entry.approved, Some(approval("1")));
        assert!(!entry.enabled);
        assert!(
            text.starts_with('#') && text.contains("\nversion = 1\n"),
            "{text}"
        );
    }

    #[test]
    fn a_rollback_brings_back_what_was_granted_then_and_keeps_the_limits() {
        let upgraded = changed(&overlap(), |draft| {
            let limit = Setting::Limit(Limit::MemoryMib);
            draft.set("overlap", limit, Some(64.into())).expect("set");
            let mut next = approval("2");
            next.grants.insert(Capability::Material);
            draft.approve_next("overlap", &next).expect("noted");
            draft.upgrade("overlap", &next).expect("upgraded");
        });
        let policy = Policy::parse(&upgraded).expect("read back");
        let entry = policy.entry("overlap").expect("an entry");
        assert_eq!(
            entry.approved.as_ref().map(|now| now.digest),
            Some(approval("2").digest)
        );
        assert_eq!(
            (entry.next.clone(), entry.previous.clone()),
            (None, vec![approval("1")])
        );

        let back = changed(&upgraded, |draft| {
            assert_eq!(
                draft.roll_back("overlap").expect("back"),
                Some(approval("1"))
            );
            assert_eq!(draft.roll_back("overlap").expect("no more"), None);
        });

        let policy = Policy::parse(&back).expect("read back");
        let entry = policy.entry("overlap").expect("an entry");
        assert_eq!(entry.approved, Some(approval("1")));
        assert_eq!(entry.limits.get(Limit::MemoryMib), 64);
    }

    #[test]
    fn a_removed_plugin_leaves_nothing() {
        let text = changed(&overlap(), |draft| {
            draft.remove("overlap").expect("removed")
        });
        assert!(!text.contains("overlap"), "{text}");
    }

    #[test]
    fn a_change_that_makes_no_sense_is_not_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut draft = Draft::open(folder.path()).expect("a policy");
        draft.approve("overlap", &approval("1")).expect("approved");
        let limit = Setting::Limit(Limit::MemoryMib);
        assert!(draft.set("overlap", limit, Some(0.into())).is_err());
        assert!(
            draft
                .set("overlap", Setting::Parties, Some(Array::new().into()))
                .is_err()
        );
    }

    #[test]
    fn does_not_overwrite_what_an_editor_wrote_meanwhile() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut draft = Draft::open(folder.path()).expect("a policy");
        draft.approve("overlap", &approval("1")).expect("approved");
        fs::write(folder.path().join("policy.toml"), "version = 1\n").expect("written");

        assert!(matches!(draft.save(), Err(PolicyError::Changed)));
    }

    #[test]
    fn two_commands_at_once_change_one_after_the_other() {
        let folder = tempfile::tempdir().expect("a folder");
        std::thread::scope(|scope| {
            for name in ["a", "b", "c", "d"] {
                let data = folder.path();
                scope.spawn(move || {
                    let mut draft = Draft::open(data).expect("in turn");
                    draft.approve(name, &approval(name)).expect("approved");
                    draft.save().expect("saved");
                });
            }
        });
        let policy = Policy::read(folder.path()).expect("a policy");
        assert_eq!(policy.entries().count(), 4);
    }
}
