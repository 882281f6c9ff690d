//! Parcels: what this node hands to the other parties of a protocol's run, round by round. They are fetched: a party asks for the
//! parcel of a round when it is ready to take it, and asks again for what got lost.

mod wire;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::handlers::Body;
use crate::message::{NodeId, ResearcherId, RunId};
pub use wire::{Answer, Ask, NotOurs};

/// How long parcels can be had once their run has ended: slower parties are at most a few rounds behind.
pub const KEPT: Duration = Duration::from_secs(60);

/// The most MiB of parcels: of one run, of all runs of one plugin, and of one node. A plugin that hands over all it may leaves half
/// of the room to others.
const MOST_MIB: [(&str, usize); 3] = [("a run", 256), ("a plugin", 512), ("all plugins", 1024)];

/// The parcels of one node, by run. Clones are the same handle.
#[derive(Clone, Default)]
pub struct Parcels(Arc<Mutex<HashMap<Key, Slot>>>);

/// A run: its protocol and its name.
pub type Key = (String, RunId);

/// What one round hands over.
#[derive(Debug, Default)]
pub struct Handed {
    /// For every other party that has none of its own.
    pub for_all: Option<Body>,
    /// For one each.
    pub for_one: BTreeMap<NodeId, Body>,
}

/// More than this node keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this node keeps {mib} MiB of parcels for {of} at a time")]
pub struct NoRoom {
    of: &'static str,
    mib: usize,
}

#[derive(Default)]
struct Slot {
    run: Option<Run>,
    waiting: usize,
    changed: Arc<Notify>,
}

struct Run {
    plugin: String,
    researcher: ResearcherId,
    parties: Vec<NodeId>,
    rounds: Vec<Handed>,
    /// Of all rounds.
    bytes: usize,
    /// How it ended, and until when its parcels are kept.
    ended: Option<(Ended, Instant)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ended {
    Done,
    GivenUp,
}

impl Handed {
    fn bytes(&self) -> usize {
        let all = self.for_all.iter().chain(self.for_one.values());
        all.map(|body| body.len()).sum()
    }

    fn of(&self, party: &NodeId) -> Option<&Body> {
        self.for_one.get(party).or(self.for_all.as_ref())
    }
}

impl Run {
    /// What there is for `party` in a round; `None` while that is to come.
    fn answer(&self, round: u32, party: &NodeId) -> Option<Answer> {
        if !self.parties.contains(party) {
            return Some(Answer::Nothing);
        }
        match (self.rounds.get(round as usize), self.ended) {
            (_, Some((Ended::GivenUp, _))) => Some(Answer::GivenUp),
            (Some(handed), _) => Some(
                handed
                    .of(party)
                    .map_or(Answer::Nothing, |body| Answer::Held(body.clone())),
            ),
            (None, Some((Ended::Done, _))) => Some(Answer::Nothing),
            (None, None) => None,
        }
    }
}

/// A run under way. Dropped before it is [done](Self::done), it was given up.
pub struct Handing {
    parcels: Parcels,
    key: Key,
    ended: Ended,
}

impl Parcels {
    /// Opens the table for a plugin's run of these parties, among them this node. A run that ended under the same name is forgotten.
    pub fn begin(
        &self,
        key: Key,
        plugin: &str,
        researcher: ResearcherId,
        parties: Vec<NodeId>,
    ) -> Handing {
        let run = Run {
            plugin: plugin.to_owned(),
            researcher,
            parties,
            rounds: Vec::new(),
            bytes: 0,
            ended: None,
        };
        self.slots().entry(key.clone()).or_default().run = Some(run);
        Handing {
            parcels: self.clone(),
            key,
            ended: Ended::GivenUp,
        }
    }

    /// A run of these parties that this node takes no part in. They hear it when they ask.
    pub fn refuse(&self, key: Key, researcher: ResearcherId, parties: Vec<NodeId>) {
        drop(self.begin(key, "", researcher, parties));
    }

    /// Whether `party` may hear, through `researcher`, that this node gave the run up.
    pub fn gave_up(&self, key: &Key, party: &NodeId, researcher: &ResearcherId) -> bool {
        let slots = self.slots();
        let run = slots.get(key).and_then(|slot| slot.run.as_ref());
        run.is_some_and(|run| {
            run.researcher == *researcher && run.answer(0, party) == Some(Answer::GivenUp)
        })
    }

    /// What there is in a round for `party`, who asks through `researcher`. Waits until `deadline` for a run or a round that is to
    /// come; [`Answer::Later`] when it has not come by then.
    pub async fn wait(
        &self,
        key: &Key,
        round: u32,
        party: &NodeId,
        researcher: &ResearcherId,
        deadline: Instant,
    ) -> Answer {
        let waiting = Waiting::enter(self, key);
        loop {
            let changed = waiting.changed.notified();
            tokio::pin!(changed);
            // Enabled before the look, so that nothing handed over in between is missed.
            changed.as_mut().enable();
            if let Some(run) = self.slots().get(key).and_then(|slot| slot.run.as_ref()) {
                if run.researcher != *researcher {
                    return Answer::Nothing;
                }
                if let Some(answer) = run.answer(round, party) {
                    return answer;
                }
            }
            if timeout_at(deadline, changed).await.is_err() {
                return Answer::Later;
            }
        }
    }

    /// The table, without what has expired.
    fn slots(&self) -> MutexGuard<'_, HashMap<Key, Slot>> {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        slots.retain(|_, slot| {
            slot.run
                .take_if(|run| run.ended.is_some_and(|(_, until)| until <= now));
            slot.run.is_some() || slot.waiting > 0
        });
        slots
    }
}

impl Handing {
    /// Hands over what the next round has, or nothing of it.
    pub fn next_round(&self, handed: Handed) -> Result<(), NoRoom> {
        let mut slots = self.parcels.slots();
        let more = handed.bytes();
        let runs = slots.values().filter_map(|slot| slot.run.as_ref());
        let (mut of_plugin, mut of_node) = (more, more);
        let plugin = slots.get(&self.key).and_then(|slot| slot.run.as_ref());
        let plugin = plugin.map(|run| &run.plugin);
        for run in runs {
            of_node += run.bytes;
            if Some(&run.plugin) == plugin {
                of_plugin += run.bytes;
            }
        }
        let Some(slot) = slots.get_mut(&self.key) else {
            return Ok(());
        };
        let Some(run) = &mut slot.run else {
            return Ok(());
        };
        let sizes = [run.bytes + more, of_plugin, of_node];
        if let Some(((of, mib), _)) = MOST_MIB
            .into_iter()
            .zip(sizes)
            .find(|((_, mib), bytes)| *bytes > mib << 20)
        {
            return Err(NoRoom { of, mib });
        }
        run.bytes += more;
        run.rounds.push(handed);
        slot.changed.notify_waiters();
        Ok(())
    }

    /// The run is finished; what it handed over can be had for [`KEPT`].
    pub fn done(mut self) {
        self.ended = Ended::Done;
    }
}

impl Drop for Handing {
    fn drop(&mut self) {
        let mut slots = self.parcels.slots();
        if let Some(slot) = slots.get_mut(&self.key)
            && let Some(run) = &mut slot.run
        {
            if self.ended == Ended::GivenUp {
                run.rounds.clear();
                run.bytes = 0;
            }
            run.ended = Some((self.ended, Instant::now() + KEPT));
            slot.changed.notify_waiters();
        }
    }
}

/// A wait under way: keeps the run's slot alive, and only as long.
struct Waiting<'a> {
    parcels: &'a Parcels,
    key: &'a Key,
    changed: Arc<Notify>,
}

impl<'a> Waiting<'a> {
    fn enter(parcels: &'a Parcels, key: &'a Key) -> Self {
        let mut slots = parcels.slots();
        let slot = slots.entry(key.clone()).or_default();
        slot.waiting += 1;
        Self {
            parcels,
            key,
            changed: slot.changed.clone(),
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut slots = self
            .parcels
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get_mut(self.key) {
            slot.waiting -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str) -> NodeId {
        name.parse().expect("an id")
    }

    fn key() -> Key {
        ("beacon".into(), "run_1".parse().expect("an id"))
    }

    fn begun(parcels: &Parcels) -> Handing {
        of_plugin(parcels, "run_1", "beacon")
    }

    fn of_plugin(parcels: &Parcels, run: &str, plugin: &str) -> Handing {
        let key = ("beacon".into(), run.parse().expect("an id"));
        let parties = vec![node("a"), node("b"), node("c")];
        parcels.begin(key, plugin, "r".parse().expect("an id"), parties)
    }

    fn all(body: &[u8]) -> Handed {
        Handed {
            for_all: Some(body.to_vec().into()),
            ..Handed::default()
        }
    }

    async fn asked(parcels: &Parcels, round: u32, party: &str, researcher: &str) -> Answer {
        let researcher = researcher.parse().expect("an id");
        let soon = Instant::now() + Duration::from_millis(5);
        parcels
            .wait(&key(), round, &node(party), &researcher, soon)
            .await
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_no_party_or_comes_through_another_researcher_gets_nothing() {
        let parcels = Parcels::default();
        let run = begun(&parcels);
        run.next_round(all(b"1")).expect("room");
        assert_eq!(asked(&parcels, 0, "mallory", "r").await, Answer::Nothing);
        assert_eq!(asked(&parcels, 0, "b", "other").await, Answer::Nothing);
        assert_eq!(
            asked(&parcels, 0, "b", "r").await,
            Answer::Held(b"1".to_vec().into())
        );
    }

    #[test]
    fn nobody_takes_the_room_of_others() {
        let parcels = Parcels::default();
        let large = || all(&vec![0; 100 << 20]);
        let refused = |of, mib| Err(NoRoom { of, mib });
        let [first, second, third, fourth] = [
            ("run_1", "a"),
            ("run_2", "a"),
            ("run_3", "a"),
            ("run_4", "b"),
        ]
        .map(|(run, plugin)| of_plugin(&parcels, run, plugin));
        for run in [&first, &second] {
            assert_eq!(run.next_round(large()), Ok(()));
            assert_eq!(run.next_round(large()), Ok(()));
            assert_eq!(run.next_round(large()), refused("a run", 256));
        }
        assert_eq!(third.next_round(large()), Ok(()));
        assert_eq!(third.next_round(large()), refused("a plugin", 512));
        assert_eq!(fourth.next_round(large()), Ok(()));
        drop(first);
        assert_eq!(third.next_round(large()), Ok(()), "there is room again");
    }

    #[tokio::test(start_paused = true)]
    async fn parties_hear_of_a_run_that_is_refused_and_nobody_else() {
        let parcels = Parcels::default();
        let researcher = "r".parse().expect("an id");
        assert!(!parcels.gave_up(&key(), &node("b"), &researcher));
        parcels.refuse(key(), researcher.clone(), vec![node("a"), node("b")]);
        assert!(parcels.gave_up(&key(), &node("b"), &researcher));
        assert!(!parcels.gave_up(&key(), &node("c"), &researcher));
        assert!(!parcels.gave_up(&key(), &node("b"), &"other".parse().expect("an id")));
        assert_eq!(asked(&parcels, 3, "b", "r").await, Answer::GivenUp);
    }

    #[tokio::test(start_paused = true)]
    async fn a_parcel_for_one_is_had_by_that_one_only() {
        let parcels = Parcels::default();
        let run = begun(&parcels);
        run.next_round(Handed {
            for_all: Some(b"all".to_vec().into()),
            for_one: BTreeMap::from([(node("b"), b"b".to_vec().into())]),
        })
        .expect("room");
        assert_eq!(
            asked(&parcels, 0, "b", "r").await,
            Answer::Held(b"b".to_vec().into())
        );
        assert_eq!(
            asked(&parcels, 0, "c", "r").await,
            Answer::Held(b"all".to_vec().into())
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_round_to_come_is_waited_for_and_a_run_too() {
        let parcels = Parcels::default();
        let late = tokio::spawn({
            let parcels = parcels.clone();
            async move {
                let deadline = Instant::now() + Duration::from_secs(30);
                let researcher = "r".parse().expect("an id");
                parcels
                    .wait(&key(), 1, &node("b"), &researcher, deadline)
                    .await
            }
        });
        tokio::time::sleep(Duration::from_secs(1)).await;
        let run = begun(&parcels);
        run.next_round(all(b"0")).expect("room");
        tokio::time::sleep(Duration::from_secs(1)).await;
        run.next_round(all(b"1")).expect("room");
        assert_eq!(
            late.await.expect("no panic"),
            Answer::Held(b"1".to_vec().into())
        );
        assert_eq!(asked(&parcels, 2, "b", "r").await, Answer::Later);
    }

    #[tokio::test(start_paused = true)]
    async fn a_run_that_is_given_up_hands_over_nothing_more() {
        let parcels = Parcels::default();
        let run = begun(&parcels);
        run.next_round(all(b"0")).expect("room");
        drop(run);
        assert_eq!(asked(&parcels, 0, "b", "r").await, Answer::GivenUp);
    }

    #[tokio::test(start_paused = true)]
    async fn parcels_of_a_finished_run_can_be_had_for_a_while() {
        let parcels = Parcels::default();
        let run = begun(&parcels);
        run.next_round(all(b"0")).expect("room");
        run.done();
        assert_eq!(
            asked(&parcels, 0, "b", "r").await,
            Answer::Held(b"0".to_vec().into())
        );
        assert_eq!(asked(&parcels, 1, "b", "r").await, Answer::Nothing);
        tokio::time::sleep(KEPT).await;
        assert_eq!(asked(&parcels, 0, "b", "r").await, Answer::Later);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_left_of_waits_for_runs_that_never_began() {
        let parcels = Parcels::default();
        asked(&parcels, 0, "b", "r").await;
        assert!(parcels.slots().is_empty());
    }
}
