//! What two nodes have between them at one researcher, and which of it is used for what: the decisions alone, without keys. Time is
//! that since any moment.
//!
//! ```text
//!   begin ──▶ begun ────────── the answer comes ──────────┐
//!                                                         ▼
//!   the peer's first frame ──▶ answered ── a message ──▶ current ── the next ──▶ previous ──▶ forgotten
//!                                          opens
//! ```
//!
//! - `begun` sends nothing and opens nothing; `answered` opens; `current` seals and opens; `previous` opens.
//! - Whatever is pending, the current session stays until another is *proven*: to who began by the answer, which only the peer can
//!   make and only to this very frame; to who answered by a message, which only who began can seal.
//! - Of what this node began, only the latest is pending. Of what it answered, each may be what the peer has, so each may be proven,
//!   in any order; one that is proven leaves those before it behind.
//! - **Both at once.** Of two handshakes that cross, that of the node with the lower id goes on. That node leaves the other's
//!   frame alone as long as its own is young ([`RETRY`]); the other node drops its own and answers. What is dropped is never taken up
//!   again, so a node that seals with a session does not find that the other has forgotten it.
//! - **Nothing is lost.** A session that was current opens messages for as long as a relay may hold one ([`HELD`]) after the peer is
//!   known to have moved on: to who answered, the message that proves the new session shows it; to who began, the first message that
//!   opens there.
//!
//! `model.rs` holds these to every order in which a relay may deliver, lose and repeat frames, and nodes crash.

use std::collections::VecDeque;
use std::time::Duration;

/// How long one waits for the answer to a handshake before it begins another.
pub(super) const RETRY: Duration = Duration::from_secs(5);
/// How long a relay holds a message, ours and the reference's: 300 s.
pub(super) const HELD: Duration = Duration::from_secs(300);
/// Younger than this, a session opens messages.
pub const OPENS_FOR: Duration = Duration::from_secs(20 * 60);
/// The most sessions that are not proven, and the most that are left behind: as many as a peer begins, one after the other failing,
/// while a relay holds a message. The oldest makes room.
const MOST: usize = (HELD.as_secs() / RETRY.as_secs()) as usize;

/// See the [module](self). `B`, `A`, `E` and `S` are what it takes of a session in each state: begun, answered, established,
/// superseded.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Pair<B, A, E, S> {
    begun: Option<(B, Duration)>,
    /// The latest last.
    answered: VecDeque<(A, Duration)>,
    current: Option<Current<E>>,
    previous: VecDeque<(S, Duration)>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Current<E> {
    session: E,
    /// When it opens nothing any more.
    until: Duration,
    /// Whether the peer is known to seal with it.
    heard: bool,
}

impl<B, A, E, S> Default for Pair<B, A, E, S> {
    fn default() -> Self {
        Self {
            begun: None,
            answered: VecDeque::new(),
            current: None,
            previous: VecDeque::new(),
        }
    }
}

impl<B, A, E, S> Pair<B, A, E, S>
where
    E: From<A>,
    S: From<A> + From<E>,
{
    /// When another handshake may be begun: not while an answer, or the message that proves what was answered, is on its way.
    pub(super) fn may_begin_at(&self) -> Duration {
        let begun = self.begun.as_ref().map(|(_, at)| *at);
        let answered = self.answered.back().map(|(_, at)| *at);
        let last = begun.max(answered);
        last.map_or(Duration::ZERO, |last| last + RETRY)
    }

    /// A handshake was begun. It takes the place of one that was not answered.
    pub(super) fn begin(&mut self, session: B, now: Duration) {
        self.begun = Some((session, now));
    }

    /// Whether the peer's handshake is to be left alone, because this node's own goes on.
    pub(super) fn goes_first(&self, lower_id: bool, now: Duration) -> bool {
        let young = |(_, at): &(B, Duration)| now < *at + RETRY;
        lower_id && self.begun.as_ref().is_some_and(young)
    }

    /// The peer's handshake was answered. An own one is dropped.
    pub(super) fn answer(&mut self, session: A, now: Duration) {
        self.begun = None;
        push(&mut self.answered, (session, now));
    }

    /// The own handshake was answered: this is the session now.
    pub(super) fn establish(&mut self, session: E, now: Duration) {
        self.begun = None;
        self.leave(self.answered.len());
        self.current = Some(Current {
            session,
            until: now + OPENS_FOR,
            heard: false,
        });
    }

    /// A message was opened with one of the sessions that were answered: it is proven.
    pub(super) fn confirm(&mut self, place: usize, now: Duration) {
        if place >= self.answered.len() {
            return;
        }
        self.begun = None;
        self.leave(place);
        let proven = self.answered.pop_front();
        self.current = proven.map(|(session, at)| Current {
            session: session.into(),
            until: at + OPENS_FOR,
            heard: false,
        });
        self.heard(now);
    }

    /// Leaves the current session behind, and so many of those that were answered after it.
    fn leave(&mut self, answered: usize) {
        if let Some(current) = self.current.take() {
            push(&mut self.previous, (current.session.into(), current.until));
        }
        for (session, at) in self.answered.drain(..answered) {
            push(&mut self.previous, (session.into(), at + OPENS_FOR));
        }
    }

    /// A message was opened with the current session: the peer has moved on from those before.
    pub(super) fn heard(&mut self, now: Duration) {
        let Some(current) = self.current.as_mut().filter(|current| !current.heard) else {
            return;
        };
        current.heard = true;
        for (_, until) in &mut self.previous {
            *until = (*until).min(now + HELD);
        }
    }

    /// The peer has forgotten the current session: nothing is sealed with it any more.
    pub(super) fn current_ended(&mut self, now: Duration) {
        if let Some(current) = self.current.take() {
            let until = current.until.min(now + HELD);
            push(&mut self.previous, (current.session.into(), until));
        }
    }

    /// The peer has forgotten a session that it proves only by saying so.
    pub(super) fn answered_ended(&mut self, place: usize) {
        self.answered.remove(place);
    }

    /// Forgets what was begun, and each session that is not to be kept.
    pub(super) fn keep(
        &mut self,
        answered: impl Fn(&A) -> bool,
        current: impl Fn(&E) -> bool,
        previous: impl Fn(&S) -> bool,
    ) {
        self.begun = None;
        self.answered.retain(|(session, _)| answered(session));
        self.current.take_if(|now| !current(&now.session));
        self.previous.retain(|(session, _)| previous(session));
    }

    /// Forgets what is too old.
    pub(super) fn tidy(&mut self, now: Duration) {
        self.begun.take_if(|(_, at)| now >= *at + HELD);
        self.answered.retain(|(_, at)| now < *at + OPENS_FOR);
        self.current.take_if(|current| now >= current.until);
        self.previous.retain(|(_, until)| now < *until);
    }
}

fn push<T>(sessions: &mut VecDeque<T>, session: T) {
    if sessions.len() == MOST {
        sessions.pop_front();
    }
    sessions.push_back(session);
}

/// What there is.
impl<B, A, E, S> Pair<B, A, E, S> {
    pub(super) fn begun(&self) -> Option<&B> {
        self.begun.as_ref().map(|(session, _)| session)
    }

    pub(super) fn answered(&self) -> impl Iterator<Item = &A> {
        self.answered.iter().map(|(session, _)| session)
    }

    pub(super) fn current(&self) -> Option<&E> {
        self.current.as_ref().map(|current| &current.session)
    }

    pub(super) fn current_mut(&mut self) -> Option<&mut E> {
        self.current.as_mut().map(|current| &mut current.session)
    }

    pub(super) fn previous(&self) -> impl Iterator<Item = &S> {
        self.previous.iter().map(|(session, _)| session)
    }

    /// The sessions that open messages: those that are not proven, the current one, and those before.
    pub(super) fn opening(
        &mut self,
    ) -> (
        impl Iterator<Item = &mut A>,
        Option<&mut E>,
        impl Iterator<Item = &mut S>,
    ) {
        let answered = self.answered.iter_mut().map(|(session, _)| session);
        let current = self.current.as_mut().map(|current| &mut current.session);
        let previous = self.previous.iter_mut().map(|(session, _)| session);
        (answered, current, previous)
    }

    /// What is known of each session beside itself: a number for its state, and a time.
    pub(super) fn times(&self) -> impl Iterator<Item = (u8, Duration)> {
        let begun = self.begun.as_ref().map(|(_, at)| (0, *at));
        let answered = self.answered.iter().map(|(_, at)| (1, *at));
        let current = self.current.as_ref();
        let current = current.map(|current| (2 + u8::from(current.heard), current.until));
        let previous = self.previous.iter().map(|(_, until)| (4, *until));
        begun
            .into_iter()
            .chain(answered)
            .chain(current)
            .chain(previous)
    }
}
