use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use super::change::Change;
use super::channel::CHANNEL;
use crate::message::{Inner, NodeId, OverlayMessage, Value};
use crate::primitives::derive_secret_key;
use crate::randomness::Randomness;
use crate::sessions::{Hello, Known, Limits, Moment, Opened, Refused, Sealed, Sessions, Suite};

/// The first frame of a handshake.
///
/// The first byte of the input says what the rest is. 0: changes of a genuine message on its way, outer fields and frame. 1: a frame
/// in its place. 4 and 5: the same in suite 3. What must hold, for this target and the next three: whatever is not the genuine message is refused, and leaves
/// the receiver as it was. `true` when a message opened.
pub fn first_handshake(input: &[u8]) -> bool {
    static AT: LazyLock<[At; 2]> = LazyLock::new(|| At::step(Step::First));
    takes(&AT, input)
}

/// The second frame of a handshake. As [`first_handshake`].
pub fn second_handshake(input: &[u8]) -> bool {
    static AT: LazyLock<[At; 2]> = LazyLock::new(|| At::step(Step::Second));
    takes(&AT, input)
}

/// The closing frame of a session. As [`first_handshake`].
pub fn session_close(input: &[u8]) -> bool {
    static AT: LazyLock<[At; 2]> = LazyLock::new(|| At::step(Step::Close));
    takes(&AT, input)
}

/// A message of a session. As [`first_handshake`]; and 2: what a peer seals, whatever it is, which opens exactly when it is an inner
/// message between these two nodes, or nothing.
pub fn session_data(input: &[u8]) -> bool {
    static AT: LazyLock<[At; 2]> = LazyLock::new(|| At::step(Step::Data));
    static TALK: Mutex<Option<Pair>> = Mutex::new(None);
    let Some((2, content)) = input.split_first() else {
        return takes(&AT, input);
    };
    let mut talk = TALK.lock().unwrap_or_else(PoisonError::into_inner);
    // A session has so many messages.
    let pair = match talk.take() {
        Some(pair) if pair.sealed < 60_000 => talk.insert(pair),
        _ => talk.insert(Pair::new(Suite::Two, Step::Data).0),
    };
    pair.sealed += 1;
    sealed_by_the_peer(pair, content)
}

/// A bit of the first byte of an input.
pub(super) const IN_SUITE_3: u8 = 4;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    First,
    Second,
    Data,
    Close,
}

/// Two nodes in the middle of something.
struct Pair {
    source: Sessions,
    dest: Sessions,
    rng: Randomness,
    sealed: usize,
}

/// A receiver, and the message that it is about to get.
struct At {
    suite: Suite,
    step: Step,
    receiver: Mutex<Sessions>,
    genuine: OverlayMessage,
}

const NOW: Moment = Moment {
    running: Duration::from_secs(1),
    wall: Duration::from_secs(1_800_000_000),
};

impl Pair {
    /// Up to a step, with the message of it.
    fn new(suite: Suite, step: Step) -> (Self, OverlayMessage) {
        let ids = [&CHANNEL.source, &CHANNEL.dest];
        let keys = ids.map(|id| derive_secret_key(&[3; 32], id.as_str().as_bytes()));
        let limits = Limits {
            highest: suite.number(),
            lowest: suite.number(),
        };
        let sessions = |own: usize| {
            let federation = "federation".parse().expect("an id");
            let own_key = keys[own].clone();
            let mut sessions = Sessions::new(ids[own].clone(), own_key, Hello::default());
            let known = Known {
                identity: keys[1 - own].public_key(),
                federation,
                limits,
            };
            sessions.know(ids[1 - own].clone(), known, NOW);
            sessions
        };
        let (mut source, mut dest) = (sessions(0), sessions(1));
        let (mut rng, researcher) = (Randomness::from_seed(3), &CHANNEL.researcher);
        let message = 'step: {
            let first = source.begin(ids[1], researcher, NOW, &mut rng);
            let first = first.expect("known").expect("nothing under way");
            if step == Step::First {
                break 'step first;
            }
            // The source of all frames is the same node: what it gets is made by the other for the second.
            let Ok(Opened::Answer(second)) = dest.open(&first, NOW, &mut rng) else {
                panic!("no answer");
            };
            if step == Step::Second {
                break 'step second;
            }
            let Ok(Opened::Established { proof, .. }) = source.open(&second, NOW, &mut rng) else {
                panic!("no session");
            };
            dest.open(&proof, NOW, &mut rng).expect("proven");
            if step == Step::Close {
                let close = source.close(ids[1], researcher, NOW, &mut rng);
                break 'step close.expect("a session");
            }
            let fields = Value::Map(vec![("secagg_id".into(), "run".into())]);
            let (from, to) = (ids[0].clone(), ids[1].clone());
            let inner = Inner::new(from, to, None, "KeyRequest", fields).expect("a message");
            match source.seal(researcher, &inner, NOW, &mut rng) {
                Ok(Sealed::Message { message, .. }) => message,
                other => panic!("{other:?}"),
            }
        };
        let pair = Self {
            source,
            dest,
            rng,
            sealed: 0,
        };
        (pair, message)
    }

    fn receiver(self, step: Step) -> Sessions {
        match step {
            Step::Second => self.source,
            Step::First | Step::Data | Step::Close => self.dest,
        }
    }
}

impl At {
    /// In each suite, the lowest first.
    fn step(step: Step) -> [Self; 2] {
        Suite::ALL.map(|suite| {
            let (pair, genuine) = Pair::new(suite, step);
            Self {
                suite,
                step,
                receiver: Mutex::new(pair.receiver(step)),
                genuine,
            }
        })
    }

    fn takes(&self, what: u8, rest: &[u8]) -> bool {
        let message = match what % 2 {
            0 => changed(&self.genuine, rest),
            _ => Some(OverlayMessage {
                overlay: rest.to_vec(),
                ..self.genuine.clone()
            }),
        };
        let Some(message) = message else {
            return false;
        };
        let mut rng = Randomness::from_seed(4);
        if message == self.genuine {
            let mut receiver = Pair::new(self.suite, self.step).0.receiver(self.step);
            receiver.open(&message, NOW, &mut rng).expect("genuine");
            return true;
        }
        let receiver = &mut *self.receiver.lock().unwrap_or_else(PoisonError::into_inner);
        let before = receiver.digest();
        let opened = receiver.open(&message, NOW, &mut rng);
        assert!(opened.is_err(), "{message:?} was never sent");
        assert_eq!(receiver.digest(), before);
        false
    }
}

/// What an input is for a receiver of the suite that its first byte says.
fn takes([two, three]: &[At; 2], input: &[u8]) -> bool {
    match input.split_first() {
        Some((what, rest)) if what & IN_SUITE_3 == 0 => two.takes(*what, rest),
        Some((what, rest)) => three.takes(*what, rest),
        None => false,
    }
}

/// A message with the changes that the input describes; `None` when an id is none then.
fn changed(genuine: &OverlayMessage, changes: &[u8]) -> Option<OverlayMessage> {
    let mut message = genuine.clone();
    let [mut source, mut dest, mut researcher] = [
        genuine.source.as_str(),
        genuine.dest.as_str(),
        genuine.researcher_id.as_str(),
    ]
    .map(|id| id.as_bytes().to_vec());
    for change in Change::read(changes) {
        match change.part(7) {
            0 => change.apply(&mut message.overlay),
            1 => change.apply(&mut message.salt),
            2 => change.apply(&mut message.nonce),
            3 => change.apply(&mut source),
            4 => change.apply(&mut dest),
            5 => change.apply(&mut researcher),
            _ => message.setup = !message.setup,
        }
    }
    let node = |id| NodeId::try_from(String::from_utf8(id).ok()?).ok();
    message.source = node(source)?;
    message.dest = node(dest)?;
    message.researcher_id = String::from_utf8(researcher).ok()?.try_into().ok()?;
    Some(message)
}

fn sealed_by_the_peer(pair: &mut Pair, content: &[u8]) -> bool {
    let Pair {
        source, dest, rng, ..
    } = pair;
    let message = source.seal_content(&CHANNEL.dest, &CHANNEL.researcher, content, NOW, rng);
    let Ok(Sealed::Message { message, .. }) = message else {
        panic!("{message:?} is no message");
    };
    let opened = dest.open(&message, NOW, rng);
    assert_eq!(dest.open(&message, NOW, rng), Err(Refused::Spent));
    let inner = Value::decode(content).map(Inner::from_value);
    match (&opened, &inner) {
        (Ok(Opened::Nothing { .. }), _) => assert!(content.is_empty()),
        (Ok(Opened::Message { inner: opened, .. }), Ok(Ok(inner))) => {
            assert_eq!(opened.to_value().encode(), inner.to_value().encode());
            assert_eq!(
                (&opened.source, &opened.dest),
                (&message.source, &message.dest)
            );
        }
        (Err(Refused::Content(ours)), Err(theirs)) => assert_eq!(ours, theirs),
        (Err(Refused::Message(ours)), Ok(Err(theirs))) => assert_eq!(ours, theirs),
        (Err(Refused::Ids), Ok(Ok(inner))) => {
            assert_ne!(
                (&inner.source, &inner.dest),
                (&message.source, &message.dest)
            );
        }
        (opened, expected) => panic!("{opened:?} instead of {expected:?}"),
    }
    opened.is_ok()
}

/// What is on its way in each target, for the seeds.
#[cfg(test)]
pub(super) fn genuine_frames(suite: Suite) -> [(&'static str, Vec<u8>); 4] {
    [
        ("first_handshake", Step::First),
        ("second_handshake", Step::Second),
        ("session_close", Step::Close),
        ("session_data", Step::Data),
    ]
    .map(|(target, step)| (target, Pair::new(suite, step).1.overlay))
}
