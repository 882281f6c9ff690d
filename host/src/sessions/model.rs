//! [`Pair`](super::pair) in every order of events: two nodes and a relay that keeps all frames and delivers any of them at any
//! time, as often as it likes, or never. Nodes crash and know nothing then. Keys are stood for by numbers, as nothing but the keys' owner
//! can make a frame.

use std::collections::BTreeSet;
use std::time::Duration;

use stateright::{Checker, Expectation, Model, Property};

use super::pair::{HELD, Pair, RETRY};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Frame {
    /// The number of a handshake is also its timestamp. It is of the highest suite that its sender offers.
    First { from: usize, handshake: u8 },
    Second {
        from: usize,
        handshake: u8,
        session: u8,
    },
    Data {
        from: usize,
        session: u8,
        number: u8,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Action {
    Begin(usize),
    Deliver(Frame),
    Say(usize),
    Crash(usize),
    Wait,
    WaitLong,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
struct Node {
    pair: Pair<u8, u8, u8, u8>,
    latest: u8,
    /// Messages whose keys are erased.
    opened: BTreeSet<u8>,
    /// All sessions since the last crash.
    had: BTreeSet<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
struct State {
    nodes: [Node; 2],
    frames: BTreeSet<Frame>,
    waited: u8,
    waited_long: u8,
    handshakes: u8,
    sessions: u8,
    said: u8,
    numbers: u8,
    crashes: u8,
    /// Messages that were treated.
    treated: BTreeSet<u8>,
    /// What must not be, as it happens.
    broken: Option<&'static str>,
}

impl State {
    fn now(&self) -> Duration {
        RETRY + RETRY * u32::from(self.waited) + HELD * u32::from(self.waited_long)
    }

    fn data(&mut self, from: usize, session: u8) {
        self.numbers += 1;
        let number = self.numbers;
        self.frames.insert(Frame::Data {
            from,
            session,
            number,
        });
    }

    fn deliver(&mut self, frame: Frame, offers: [u8; 2]) {
        let now = self.now();
        match frame {
            Frame::First { from, handshake } => {
                let at = 1 - from;
                let node = &mut self.nodes[at];
                // What this node began, if anything, is of the suite that it offers; the peer's handshake must be of the lower one.
                let [own, peer] = [offers[at], offers[from]];
                let goes_first = own == peer && node.pair.goes_first(at < from, now);
                if own < peer || goes_first || handshake <= node.latest {
                    return;
                }
                let current = node.pair.current().copied();
                self.sessions += 1;
                node.latest = handshake;
                node.pair.answer(self.sessions, now);
                node.had.insert(self.sessions);
                if node.pair.current().copied() != current {
                    self.broken = Some("a pending handshake took the current session away");
                }
                self.frames.insert(Frame::Second {
                    from: at,
                    handshake,
                    session: self.sessions,
                });
            }
            Frame::Second {
                from,
                handshake,
                session,
            } => {
                let node = &mut self.nodes[1 - from];
                if node.pair.begun() != Some(&handshake) {
                    return;
                }
                node.pair.establish(session, now);
                node.had.insert(session);
                self.data(1 - from, session);
            }
            Frame::Data {
                from,
                session,
                number,
            } => {
                let node = &mut self.nodes[1 - from];
                let (mut unproven, current, mut previous) = node.pair.opening();
                let answered = unproven.position(|answered| *answered == session);
                let current = current.copied() == Some(session);
                let opens =
                    answered.is_some() || current || previous.any(|previous| *previous == session);
                drop((unproven, previous));
                if !opens || !node.opened.insert(number) {
                    return;
                }
                if let Some(place) = answered {
                    node.pair.confirm(place, now);
                } else if current {
                    node.pair.heard(now);
                }
                if !self.treated.insert(number) {
                    self.broken = Some("a message was treated twice");
                }
            }
        }
    }
}

/// How much happens.
#[derive(Clone, Copy)]
struct Relayed {
    handshakes: u8,
    said: u8,
    crashes: u8,
    /// How often [`RETRY`] passes.
    waits: u8,
    /// How often [`HELD`] passes.
    long_waits: u8,
    /// The highest suite that each node offers.
    offers: [u8; 2],
}

impl Model for Relayed {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::default()]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for at in 0..2 {
            let pair = &state.nodes[at].pair;
            if state.handshakes < self.handshakes && pair.may_begin_at() <= state.now() {
                actions.push(Action::Begin(at));
            }
            if state.said < self.said && pair.current().is_some() {
                actions.push(Action::Say(at));
            }
            if state.crashes < self.crashes {
                actions.push(Action::Crash(at));
            }
        }
        if state.waited < self.waits {
            actions.push(Action::Wait);
        }
        if state.waited_long < self.long_waits {
            actions.push(Action::WaitLong);
        }
        actions.extend(state.frames.iter().copied().map(Action::Deliver));
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        let now = state.now();
        match action {
            Action::Begin(at) => {
                state.handshakes += 1;
                let handshake = state.handshakes;
                state.nodes[at].pair.begin(handshake, now);
                state.frames.insert(Frame::First {
                    from: at,
                    handshake,
                });
            }
            Action::Deliver(frame) => state.deliver(frame, self.offers),
            Action::Say(at) => {
                state.said += 1;
                let session = *state.nodes[at].pair.current()?;
                state.data(at, session);
            }
            Action::Crash(at) => {
                state.crashes += 1;
                state.nodes[at] = Node::default();
            }
            Action::Wait => state.waited += 1,
            Action::WaitLong => state.waited_long += 1,
        }
        let now = state.now();
        for node in &mut state.nodes {
            node.pair.tidy(now);
        }
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("nothing is broken", |_, state: &State| {
                state.broken.is_none()
            }),
            Property::always(
                "what a node seals with, its peer opens, unless it has crashed",
                |_, state: &State| {
                    (0..2).all(|at| {
                        let peer = &state.nodes[1 - at];
                        let Some(session) = state.nodes[at].pair.current() else {
                            return true;
                        };
                        !peer.had.contains(session)
                            || peer.pair.answered().any(|answered| answered == session)
                            || peer.pair.current() == Some(session)
                            || peer.pair.previous().any(|previous| previous == session)
                    })
                },
            ),
            Property::always(
                "both agree which session is the later",
                |_, state: &State| {
                    let [a, b] = &state.nodes;
                    let before = |node: &Node, session: Option<&u8>| {
                        node.pair
                            .previous()
                            .any(|previous| Some(previous) == session)
                    };
                    !before(a, b.pair.current()) || !before(b, a.pair.current())
                },
            ),
            Property::always("nobody seals with what only it has", |_, state: &State| {
                // Who answered seals only with what who began has sealed with, or had, before a crash.
                (0..2).all(|at| {
                    let [own, peer] = [&state.nodes[at], &state.nodes[1 - at]];
                    own.pair
                        .current()
                        .is_none_or(|session| peer.had.contains(session) || state.crashes > 0)
                })
            }),
            Property::sometimes("both seal with the same session", |_, state: &State| {
                let [a, b] = &state.nodes;
                a.pair.current().is_some() && a.pair.current() == b.pair.current()
            }),
            Property::sometimes(
                "after a crash both seal with the same session",
                |_, state: &State| {
                    let [a, b] = &state.nodes;
                    let same = a.pair.current().is_some() && a.pair.current() == b.pair.current();
                    same && state.crashes > 0
                },
            ),
            Property::sometimes("handshakes of both cross", |_, state: &State| {
                state.nodes.iter().all(|node| node.pair.begun().is_some())
            }),
            Property::sometimes(
                "a message comes on an earlier session",
                |_, state: &State| {
                    state.nodes.iter().any(|node| {
                        let previous: Vec<_> = node.pair.previous().collect();
                        state.frames.iter().any(|frame| {
                            matches!(frame, Frame::Data { session, number, .. }
                            if previous.contains(&session) && node.opened.contains(number))
                        })
                    })
                },
            ),
        ]
    }
}

#[test]
fn no_order_of_events_breaks_what_must_hold() {
    // One node crashes; or more is begun.
    let crashing = Relayed {
        handshakes: 2,
        said: 1,
        crashes: 1,
        waits: 1,
        long_waits: 1,
        offers: [2, 2],
    };
    let busy = Relayed {
        handshakes: 3,
        said: 1,
        crashes: 0,
        waits: 1,
        long_waits: 1,
        offers: [2, 2],
    };
    // A handshake of the node that offers more comes to nothing, and that of the other to a session.
    let [lower_offers_more, higher_offers_more] =
        [[3, 2], [2, 3]].map(|offers| Relayed { offers, ..crashing });
    for model in [crashing, busy, lower_offers_more, higher_offers_more] {
        let checker = model.checker().threads(2).spawn_bfs().join();
        println!("{} states", checker.unique_state_count());
        for property in checker.model().properties() {
            let found = checker.discovery(property.name);
            let holds = match property.expectation {
                Expectation::Always => found.is_none(),
                _ => found.is_some() || property.name.contains("crash") && model.crashes == 0,
            };
            let path = found.map(|path| path.into_actions());
            assert!(holds, "{}: {path:#?}", property.name);
        }
    }
}
