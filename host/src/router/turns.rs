use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::message::NodeId;

/// How many messages of one sender are in work at a time. Senders are remembered only while they have some.
pub(super) struct Turns {
    each: usize,
    senders: Mutex<HashMap<NodeId, Arc<Semaphore>>>,
}

/// A sender's message in work.
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    sender: NodeId,
    semaphore: Option<Arc<Semaphore>>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Turns {
    pub(super) fn new(each: usize) -> Self {
        Self {
            each,
            senders: Mutex::default(),
        }
    }

    /// A turn for `sender`, if one is free.
    pub(super) fn try_take(&self, sender: &NodeId) -> Option<Turn<'_>> {
        let mut turn = self.enter(sender);
        let semaphore = turn.semaphore.clone()?;
        turn.permit = Some(semaphore.try_acquire_owned().ok()?);
        Some(turn)
    }

    /// Waits until `sender` has a turn free.
    pub(super) async fn take(&self, sender: &NodeId) -> Turn<'_> {
        let mut turn = self.enter(sender);
        if let Some(semaphore) = turn.semaphore.clone() {
            // The semaphore is never closed, so this waits and does not fail.
            turn.permit = semaphore.acquire_owned().await.ok();
        }
        turn
    }

    fn enter(&self, sender: &NodeId) -> Turn<'_> {
        let semaphore = self
            .senders
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(sender.clone())
            .or_insert_with(|| Arc::new(Semaphore::new(self.each)))
            .clone();
        Turn {
            turns: self,
            sender: sender.clone(),
            semaphore: Some(semaphore),
            permit: None,
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.permit = None;
        self.semaphore = None;
        let mut senders = self
            .turns
            .senders
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // Nobody else holds or waits for a turn of this sender: the map's is the last reference.
        if senders
            .get(&self.sender)
            .is_some_and(|semaphore| Arc::strong_count(semaphore) == 1)
        {
            senders.remove(&self.sender);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str) -> NodeId {
        NodeId::try_from(name).expect("a valid id")
    }

    #[tokio::test]
    async fn one_sender_waits_for_itself_only() {
        let turns = Turns::new(1);
        let first = turns.take(&node("a")).await;

        let other = turns.take(&node("b")).await;
        let blocked =
            tokio::time::timeout(std::time::Duration::from_millis(10), turns.take(&node("a")))
                .await;
        assert!(blocked.is_err());
        drop((first, other));
        turns.take(&node("a")).await;
    }

    #[tokio::test]
    async fn a_turn_that_is_not_free_is_refused_to_who_does_not_wait() {
        let turns = Turns::new(1);
        let first = turns.try_take(&node("a"));

        assert!(first.is_some());
        assert!(turns.try_take(&node("a")).is_none());
        assert!(turns.try_take(&node("b")).is_some());
        drop(first);
        assert!(turns.senders.lock().expect("no panic").is_empty());
    }

    #[tokio::test]
    async fn forgets_senders_without_messages() {
        let turns = Turns::new(2);
        for n in 0..300 {
            drop(turns.take(&node(&format!("forged-{n}"))).await);
        }
        assert!(turns.senders.lock().expect("no panic").is_empty());
    }
}
