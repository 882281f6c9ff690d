//! The thread that writes a recording.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;

use super::{Recorded, Shared};
use crate::audit::{Audit, Event};
use crate::trace::{Plugin, Secrets, Writer};

/// The largest recording, in bytes.
const LARGEST: u64 = 1 << 30;

/// A file that takes no more than [`LARGEST`].
pub(super) struct Bounded {
    pub(super) file: File,
    pub(super) written: u64,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.written + bytes.len() as u64 > LARGEST {
            return Err(io::Error::other(
                "the recording is 1 GiB long, and ends there",
            ));
        }
        let written = self.file.write(bytes)?;
        self.written += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// The thread that has the file.
pub(super) struct Writing<W: Write> {
    pub(super) out: Writer<W>,
    /// By digest, on which terms the trace says that its sessions ran: a trace has one set of them for a plugin.
    pub(super) plugins: BTreeMap<String, Plugin>,
    pub(super) secrets: Secrets,
    pub(super) shared: Arc<Shared>,
    pub(super) name: String,
    pub(super) audit: Audit,
}

impl<W: Write> Writing<W> {
    /// Writes all that is told, until nobody tells any more.
    pub(super) fn all(&mut self, recorded: &Receiver<Recorded>) -> io::Result<()> {
        while let Ok(first) = recorded.recv() {
            // What waits is written together; then the file has it.
            self.one(first)?;
            recorded.try_iter().try_for_each(|next| self.one(next))?;
            self.out.flush()?;
        }
        Ok(())
    }

    pub(super) fn one(&mut self, recorded: Recorded) -> io::Result<()> {
        let Recorded {
            plugin,
            mut session,
            weight,
        } = recorded;
        self.shared.waiting.fetch_sub(weight, Ordering::Relaxed);
        if !self.shared.consent.is_given(&plugin.name) {
            return Ok(());
        }
        match self.plugins.get(&plugin.digest) {
            Some(known) if *known != plugin => {
                let why = format!("{} has other limits or grants by now", plugin.name);
                self.shared.leave_out(&why);
                return Ok(());
            }
            Some(_) => {}
            None => {
                self.out.plugin(plugin.clone())?;
                self.plugins.insert(plugin.digest.clone(), plugin.clone());
            }
        }
        if self.shared.consent.is_new(&plugin) {
            self.audit.record(Event::PluginRecorded {
                plugin: plugin.name,
                digest: plugin.digest,
                file: self.name.clone(),
            });
        }
        self.secrets.hide(&mut session).map_err(io::Error::other)?;
        self.out.session(session)
    }

    /// A trace from which something was left out has no end: nobody takes it for the whole.
    pub(super) fn end(mut self) {
        let name = &self.name;
        let ended = match self.shared.left_out.load(Ordering::Relaxed) {
            0 => self.out.end().map(drop),
            left_out => {
                tracing::warn!(
                    "{left_out} sessions were left out of the recording {name}; it has no end"
                );
                self.out.flush()
            }
        };
        if let Err(error) = ended {
            tracing::error!("the end of the recording {name} cannot be written: {error}");
        }
    }
}
