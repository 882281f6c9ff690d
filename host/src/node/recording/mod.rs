//! What a node records of its plugins, as their operator allows it plugin by plugin: a trace whose secrets are left out.

mod writing;

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{self, BufWriter};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, SyncSender, TrySendError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use rand_core::Rng;
use tokio::time::Instant;
use zeroize::Zeroizing;

use self::writing::{Bounded, Writing};
use crate::audit::Audit;
use crate::handlers::Recorder;
use crate::message::NodeId;
use crate::plugins::InForce;
use crate::randomness::Randomness;
use crate::trace::{Header, HostCall, Made, Plugin, Secrets, Session, Value, Writer, each_bytes};

/// Sessions that wait for the disk. Those beyond are left out: recording never holds up a message.
const WAITING: usize = 1000;
/// What those take in memory, in bytes: a few of the largest messages.
const MOST_WAITING: usize = 64 << 20;

/// A recording under way.
pub(super) struct Recording {
    sender: Arc<Mutex<Option<SyncSender<Recorded>>>>,
    shared: Arc<Shared>,
    writing: Mutex<Option<JoinHandle<()>>>,
}

/// A session on its way to the file.
struct Recorded {
    plugin: Plugin,
    session: Session,
    /// In memory, in bytes.
    weight: usize,
}

/// What those who tell and the one who writes both see.
struct Shared {
    consent: Consent,
    /// What waits, in bytes.
    waiting: AtomicUsize,
    left_out: AtomicU64,
}

/// Which plugins may be recorded, as the policy in force says whenever it is asked: consent that is taken back holds at once.
struct Consent {
    is_given: Box<dyn Fn(&str) -> bool + Send + Sync>,
    /// The digests of the plugins of which the audit log says that they are recorded, by name.
    told: Mutex<BTreeMap<String, String>>,
}

impl Recording {
    /// Begins a file, which must not be there yet: nobody but its owner can read it.
    pub(super) fn begin(
        path: &Path,
        plugins: &Arc<InForce>,
        audit: Audit,
        mut randomness: Randomness,
    ) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let file = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        let header = Header::of_this_build(Made::Node);
        let bounded = Bounded { file, written: 0 };
        let writer = Writer::new(BufWriter::new(bounded), &header)?;
        let plugins = Arc::downgrade(plugins);
        let shared = Arc::new(Shared::new(move |plugin| {
            let in_force = plugins.upgrade();
            in_force.is_some_and(|in_force| {
                let policy = in_force.policy();
                policy.entry(plugin).is_some_and(|entry| entry.record)
            })
        }));
        let mut key = Zeroizing::new([0; 64]);
        randomness.fill_bytes(&mut *key);
        let mut writing = Writing {
            out: writer,
            plugins: BTreeMap::new(),
            secrets: Secrets::new(&key),
            shared: shared.clone(),
            name: path.display().to_string(),
            audit,
        };
        let (sender, recorded) = mpsc::sync_channel(WAITING);
        let writing = std::thread::Builder::new()
            .name("recording".into())
            .spawn(move || {
                if let Err(error) = writing.all(&recorded) {
                    tracing::error!("the recording {} is given up: {error}", writing.name);
                    return;
                }
                writing.end();
            })?;
        Ok(Self {
            sender: Arc::new(Mutex::new(Some(sender))),
            shared,
            writing: Mutex::new(Some(writing)),
        })
    }

    /// What tells it of the plugins whose recording the policy in force allows at the time.
    pub(super) fn recorder(&self, node: &NodeId) -> Recorder {
        let (shared, sender) = (self.shared.clone(), self.sender.clone());
        let tell = move |plugin: &Plugin, session: Session| {
            let sender = sender.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(sender) = &*sender {
                shared.hand_over(sender, plugin, session);
            }
        };
        let shared = self.shared.clone();
        Recorder::to(
            node.to_string(),
            Instant::now(),
            move |plugin| shared.consent.is_given(plugin.name()),
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

impl Shared {
    fn new(is_given: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self {
            consent: Consent {
                is_given: Box::new(is_given),
                told: Mutex::default(),
            },
            waiting: AtomicUsize::new(0),
            left_out: AtomicU64::new(0),
        }
    }

    /// Has a session wait for the disk if it may be recorded and there is room. Never blocks.
    fn hand_over(&self, to: &SyncSender<Recorded>, plugin: &Plugin, mut session: Session) {
        if !self.consent.is_given(&plugin.name) {
            return;
        }
        let weight = weight(&mut session);
        let has_room = self.waiting.fetch_add(weight, Ordering::Relaxed) + weight <= MOST_WAITING;
        let recorded = Recorded {
            plugin: plugin.clone(),
            session,
            weight,
        };
        let sent = match has_room {
            true => to.try_send(recorded),
            false => Err(TrySendError::Full(recorded)),
        };
        if sent.is_err() {
            self.waiting.fetch_sub(weight, Ordering::Relaxed);
        }
        // One that is given up has said so.
        if let Err(TrySendError::Full(_)) = sent {
            self.leave_out("it does not keep up");
        }
    }

    fn leave_out(&self, why: &str) {
        if self.left_out.fetch_add(1, Ordering::Relaxed) == 0 {
            tracing::warn!("the recording will not be whole: {why}, and leaves sessions out");
        }
    }
}

impl Consent {
    fn is_given(&self, plugin: &str) -> bool {
        let is_given = (self.is_given)(plugin);
        if !is_given {
            self.told().remove(plugin);
        }
        is_given
    }

    /// Whether the audit log has yet to say that this plugin is recorded.
    fn is_new(&self, plugin: &Plugin) -> bool {
        let digest = plugin.digest.clone();
        self.told().insert(plugin.name.clone(), digest.clone()) != Some(digest)
    }

    fn told(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// About how much memory a session takes, in bytes.
fn weight(session: &mut Session) -> usize {
    let calls = session.calls.iter().flat_map(|call| &call.host_calls);
    let mut weight: usize = calls
        .map(|call| {
            let values = call.given.iter().chain([&call.result]);
            size_of::<HostCall>() + values.map(weight_of_texts).sum::<usize>()
        })
        .sum();
    each_bytes(session, &mut |bytes| weight += bytes.len());
    weight
}

fn weight_of_texts(value: &Value) -> usize {
    let own = match value {
        Value::Text(text) | Value::Failed { text, .. } => text.len(),
        Value::List(values) => values.iter().map(weight_of_texts).sum(),
        Value::None | Value::Unanswered | Value::Bytes(_) | Value::Number(_) => 0,
    };
    size_of::<Value>() + own
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;
    use crate::trace::{RunOf, Trace, Work};

    fn plugin(memory: u64) -> Plugin {
        Plugin {
            name: "p".into(),
            version: "1.0.0".into(),
            digest: "00".into(),
            grants: vec![],
            limits: BTreeMap::from([("memory".to_owned(), memory)]),
        }
    }

    fn session(run: &str) -> Session {
        Session {
            node: "a".into(),
            plugin: "p".into(),
            digest: "00".into(),
            work: Work::Run(RunOf {
                kind: "K".into(),
                researcher: "r".into(),
                run: run.into(),
                experiment: String::new(),
                parties: vec![],
            }),
            calls: vec![],
        }
    }

    /// What is in the file, and in the audit log, when these sessions have been told.
    fn written(
        shared: Arc<Shared>,
        tell: impl FnOnce(&SyncSender<Recorded>, &mut dyn FnMut()),
    ) -> Trace {
        let (sender, recorded) = mpsc::sync_channel(WAITING);
        let mut file = Vec::new();
        let header = Header::of_this_build(Made::Node);
        let mut writing = Writing {
            out: Writer::new(&mut file, &header).expect("a trace"),
            plugins: BTreeMap::new(),
            secrets: Secrets::new(&[7; 64]),
            shared,
            name: "a.trace".into(),
            audit: Audit::none(),
        };
        let mut write = || {
            recorded
                .try_iter()
                .try_for_each(|one| writing.one(one))
                .expect("written");
        };
        tell(&sender, &mut write);
        write();
        writing.end();
        Trace::read(&file[..]).expect("a trace")
    }

    fn runs(trace: &Trace) -> Vec<String> {
        let works = trace.sessions.iter().map(|session| &session.work);
        works.map(ToString::to_string).collect()
    }

    #[test]
    fn consent_that_is_taken_back_holds_for_what_waits_and_for_what_is_under_way() {
        let given = Arc::new(AtomicBool::new(true));
        let asked = given.clone();
        let shared = Arc::new(Shared::new(move |_| asked.load(Ordering::Relaxed)));

        let trace = written(shared.clone(), |sender, write| {
            shared.hand_over(sender, &plugin(1), session("first"));
            write();
            shared.hand_over(sender, &plugin(1), session("waits"));
            given.store(false, Ordering::Relaxed);
            shared.hand_over(sender, &plugin(1), session("under way"));
            write();
            assert!(shared.consent.told().is_empty());
            given.store(true, Ordering::Relaxed);
            shared.hand_over(sender, &plugin(1), session("last"));
        });

        assert_eq!(runs(&trace), ["K first", "K last"]);
        assert!(trace.whole, "nothing that may be in it is missing");
        assert!(!shared.consent.is_new(&plugin(1)));
        assert_eq!(shared.waiting.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn what_ran_on_other_terms_is_left_out_and_then_the_trace_has_no_end() {
        let shared = Arc::new(Shared::new(|_| true));

        let trace = written(shared.clone(), |sender, _| {
            shared.hand_over(sender, &plugin(1), session("first"));
            shared.hand_over(sender, &plugin(2), session("with other limits"));
            shared.hand_over(sender, &plugin(1), session("last"));
        });

        assert_eq!(runs(&trace), ["K first", "K last"]);
        assert!(!trace.whole);
    }

    #[test]
    fn what_waits_is_bounded_by_its_bytes() {
        let shared = Arc::new(Shared::new(|_| true));
        let heavy = || {
            let mut session = session("heavy");
            session.calls.push(crate::trace::Call {
                at: 0,
                entry: crate::trace::Entry::Begin,
                host_calls: vec![HostCall {
                    import: "log.write".into(),
                    given: vec![Value::Text("a".repeat(MOST_WAITING / 2 + 1))],
                    result: Value::None,
                }],
                ended: crate::trace::Ended::Nothing,
                cost: crate::trace::Cost::default(),
            });
            session
        };
        let (sender, recorded) = mpsc::sync_channel(WAITING);

        shared.hand_over(&sender, &plugin(1), heavy());
        shared.hand_over(&sender, &plugin(1), heavy());

        assert_eq!(recorded.try_iter().count(), 1);
        assert_eq!(shared.left_out.load(Ordering::Relaxed), 1);
    }
}
