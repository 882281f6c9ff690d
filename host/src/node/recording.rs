//! What a node records of its plugins, as their operator allows it plugin by plugin: a trace whose secrets are left out.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::time::Instant;

use crate::audit::{Audit, Event};
use crate::handlers::Recorder;
use crate::message::NodeId;
use crate::plugins::InForce;
use crate::trace::{Header, Made, Plugin, Secrets, Session, Writer};

/// Sessions that wait for the disk. Those beyond are left out: recording never holds up a message.
const WAITING: usize = 1000;
/// The largest recording, in bytes.
const LARGEST: u64 = 1 << 30;

type Recorded = Box<(Plugin, Session)>;

/// A recording under way.
pub(super) struct Recording {
    sender: Arc<Mutex<Option<SyncSender<Recorded>>>>,
    writing: Mutex<Option<JoinHandle<()>>>,
}

impl Recording {
    /// Begins a file, which must not be there yet: nobody but its owner can read it.
    pub(super) fn begin(path: &Path, audit: Audit) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let file = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        let header = Header::of_this_build(Made::Node);
        let bounded = Bounded { file, written: 0 };
        let writer = Writer::new(BufWriter::new(bounded), &header)?;
        let (sender, recorded) = mpsc::sync_channel(WAITING);
        let name = path.display().to_string();
        let writing = std::thread::Builder::new()
            .name("recording".into())
            .spawn(move || write(writer, &recorded, &name, &audit))?;
        Ok(Self {
            sender: Arc::new(Mutex::new(Some(sender))),
            writing: Mutex::new(Some(writing)),
        })
    }

    /// What tells it of the plugins whose recording the policy in force allows at the time.
    pub(super) fn recorder(&self, node: &NodeId, plugins: &Arc<InForce>) -> Recorder {
        let (plugins, sender) = (Arc::downgrade(plugins), self.sender.clone());
        let is_allowed = move |plugin: &str| {
            let in_force = plugins.upgrade();
            in_force.is_some_and(|in_force| {
                let policy = in_force.policy();
                policy.entry(plugin).is_some_and(|entry| entry.record)
            })
        };
        let left_out = std::sync::atomic::AtomicBool::new(false);
        let tell = move |plugin: &Plugin, session: Session| {
            let sender = sender.lock().unwrap_or_else(PoisonError::into_inner);
            let sent = sender
                .as_ref()
                .map(|it| it.try_send(Box::new((plugin.clone(), session))));
            let full = matches!(sent, Some(Err(TrySendError::Full(_))));
            if full && !left_out.swap(true, std::sync::atomic::Ordering::Relaxed) {
                tracing::warn!("the recording does not keep up: some calls are left out of it");
            }
        };
        Recorder::to(
            node.to_string(),
            Instant::now(),
            move |plugin| is_allowed(plugin.name()),
            tell,
        )
    }

    /// Ends the file. Blocks for the disk.
    pub(super) fn end(&self) {
        drop(
            self.sender
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
        let writing = self
            .writing
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(Err(_)) = writing.map(JoinHandle::join) {
            tracing::error!("the recording ended by a bug of backchannel; its end is missing");
        }
    }
}

/// A file that takes no more than [`LARGEST`].
struct Bounded {
    file: File,
    written: u64,
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

type Out = Writer<BufWriter<Bounded>>;

fn write(mut out: Out, recorded: &Receiver<Recorded>, name: &str, audit: &Audit) {
    let mut secrets = Secrets::default();
    let mut known = BTreeSet::new();
    let mut one = |out: &mut Out, recorded: Recorded| -> io::Result<()> {
        let (plugin, mut session) = *recorded;
        if known.insert(plugin.digest.clone()) {
            audit.record(Event::PluginRecorded {
                plugin: plugin.name.clone(),
                digest: plugin.digest.clone(),
                file: name.to_owned(),
            });
            out.plugin(plugin)?;
        }
        secrets.hide(&mut session);
        out.session(session)
    };
    while let Ok(first) = recorded.recv() {
        // What waits is written together; then the file has it.
        let done = one(&mut out, first)
            .and_then(|()| recorded.try_iter().try_for_each(|next| one(&mut out, next)))
            .and_then(|()| out.flush());
        if let Err(error) = done {
            tracing::error!("the recording {name} is given up: {error}");
            return;
        }
    }
    if let Err(error) = out.end() {
        tracing::error!("the end of the recording {name} cannot be written: {error}");
    }
}
