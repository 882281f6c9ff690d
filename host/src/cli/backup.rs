//! `backup` and `restore`: all that is in a node's key store, as one file. `relock`: what it is locked with.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use time::OffsetDateTime;

use super::node::failed;
use super::output::foreign;
use super::plugin::date;
use super::whom::Whom;
use super::{Exit, Format, Problem};
use crate::node::{relock, restore};
use crate::policy::StoreLock;
use crate::proto::control::BackupReply;

/// The longest backup that is read, in bytes.
const LONGEST: u64 = 100 << 20;

/// Write all that is in a node's key store to a file, encrypted as the store is. The node may run.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  backchannel backup --data /var/lib/backchannel --to hospital-a.backup"
)]
pub(super) struct BackupCommand {
    /// The node's data directory.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Where it goes: a file that is not there yet.
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
}

/// Put a backup in the place of a node's key store. The node must be stopped; when it starts, it says that its store is an older one.
#[derive(Debug, Args)]
#[command(
    after_help = "The key that the store was under must be where policy.toml says, or in store.key in the data directory.\n\nExample:\n  backchannel restore hospital-a.backup --data /var/lib/backchannel"
)]
pub(super) struct RestoreCommand {
    /// What `backchannel backup` wrote.
    file: PathBuf,
    /// The node's data directory.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Take the place of a store that is there, of the same node with the same identity: what came after the backup is forgotten.
    #[arg(long)]
    replace: bool,
}

/// Lock a node's key store up with what policy.toml names now. The node must be stopped. The store itself is not written anew.
#[derive(Debug, Args)]
#[command(
    after_help = "Name the new key under [store] in policy.toml first.\n\nExample:\n  backchannel relock --from file:store.key --data /var/lib/backchannel"
)]
pub(super) struct RelockCommand {
    /// What it is locked with so far, as policy.toml has it.
    #[arg(long, value_name = "KEY")]
    from: StoreLock,
    /// The node's data directory.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
}

impl RelockCommand {
    pub(super) fn run(self, format: Format) -> Result<(), Problem> {
        let what = "the key store is locked as it was";
        relock(&self.data, &self.from).map_err(|error| failed(what, error))?;
        format.show(&Relocked { ok: true });
        Ok(())
    }
}

#[derive(Serialize)]
struct Relocked {
    ok: bool,
}

impl fmt::Display for Relocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the key store is locked with what policy.toml names")
    }
}

#[derive(Serialize)]
struct Made {
    ok: bool,
    file: PathBuf,
    bytes: usize,
    encrypted: bool,
}

#[derive(Serialize)]
struct Restored {
    ok: bool,
    node: String,
    made: String,
}

impl BackupCommand {
    pub(super) async fn run(self, format: Format) -> Result<(), Problem> {
        let what = "the node is not backed up";
        let unwritable = |error: std::io::Error| {
            let why = format!("{} cannot be written: {error}", self.to.display());
            let todo = "name a file that is not there yet, where there is room";
            Problem::new(Exit::Input, what, why, todo)
        };
        // Before anything is handed out: what is there is not written over.
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&self.to);
        let mut file = file.map_err(&unwritable)?;
        let made = self.fill(&mut file, what, unwritable).await;
        if made.is_err() {
            // No half a backup.
            let _ = std::fs::remove_file(&self.to);
        }
        let reply = made?;
        format.show(&Made {
            ok: true,
            file: self.to,
            bytes: reply.file.len(),
            encrypted: reply.encrypted,
        });
        Ok(())
    }

    async fn fill(
        &self,
        file: &mut File,
        what: &str,
        unwritable: impl Fn(std::io::Error) -> Problem,
    ) -> Result<BackupReply, Problem> {
        let reply = Whom::reach(&self.data, None, what).await?.backup().await?;
        file.write_all(&reply.file).map_err(&unwritable)?;
        file.sync_all().map_err(unwritable)?;
        Ok(reply)
    }
}

impl RestoreCommand {
    pub(super) fn run(self, format: Format) -> Result<(), Problem> {
        let what = format!("{} is not restored", self.file.display());
        let unreadable = |why: String| {
            let todo = "give a file that `backchannel backup` wrote";
            Problem::new(Exit::Input, &what, why, todo)
        };
        let length =
            std::fs::metadata(&self.file).map_err(|error| unreadable(error.to_string()))?;
        if length.len() > LONGEST {
            return Err(unreadable(format!("it has more than {LONGEST} bytes")));
        }
        let file = std::fs::read(&self.file).map_err(|error| unreadable(error.to_string()))?;
        let header =
            restore(&self.data, &file, self.replace).map_err(|error| failed(&what, error))?;
        let made = i64::try_from(header.made).ok();
        let made = made.and_then(|made| OffsetDateTime::from_unix_timestamp(made).ok());
        format.show(&Restored {
            ok: true,
            node: foreign(&header.node),
            made: made.map(date).unwrap_or_default(),
        });
        Ok(())
    }
}

impl fmt::Display for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "written {}, {} bytes", self.file.display(), self.bytes)?;
        if !self.encrypted {
            write!(f, "; NOT ENCRYPTED, as the store is not")?;
        }
        Ok(())
    }
}

impl fmt::Display for Restored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} has the key store of {} again", self.node, self.made)?;
        write!(
            f,
            "what came after it is forgotten: the node says so when it starts, and its audit log has it"
        )
    }
}
