//! What became of each message, as far as its ends, the relay and the faults say.

use super::arrow::{Arrow, State, Way};
use super::call::{Ended, Session};
use super::fault::{self, EndedLives};
use super::join::Joined;
use super::measure::{self, LATE};

impl Joined {
    /// Says it of all messages, once all that is known of them has met.
    pub(super) fn conclude(&mut self) {
        let ended_lives = self.faults.ended_lives();
        let conclusions: Vec<_> = self
            .arrows
            .iter()
            .map(|arrow| {
                let answer = arrow.answered_by.map(|place| &self.arrows[place]);
                arrow.conclusion(&ended_lives, answer)
            })
            .collect();
        for (arrow, conclusion) in self.arrows.iter_mut().zip(conclusions) {
            (arrow.state, arrow.outcome) = conclusion;
        }
    }
}

impl Arrow {
    /// What became of it, given the faults of its lanes and what answers it.
    fn conclusion(&self, ended_lives: &EndedLives, answer: Option<&Arrow>) -> (State, String) {
        if self.way == Way::Answered {
            // The node's own words.
            return (self.state, self.outcome.clone());
        }
        let (state, words) = self.end(ended_lives, answer);
        let mut parts = Vec::new();
        for hit in &self.hits {
            if state == State::Dropped && hit.fault == "drop" {
                continue;
            }
            let what = fault::of_message(&hit.fault);
            // By how much a message was late is seen when it has come.
            let seen = !self.delivered.is_empty() && hit.fault != "corrupt";
            parts.push(match hit.how.as_str() {
                how if how.is_empty() || seen => format!("{what} by a fault"),
                how => format!("{what} by a fault ({how})"),
            });
        }
        if let Some(first) = self.delivered.first() {
            let after = first.saturating_sub(self.at);
            if after >= LATE {
                parts.push(format!("delivered {} later", measure::span(after)));
            }
        }
        if self.delivered.len() > 1 {
            parts.push(format!("delivered {} times", self.delivered.len()));
        }
        parts.push(words);
        if let Some(answer) = answer.filter(|answer| answer.way == Way::Between) {
            parts.push(format!("answered by {}", answer.reference()));
        }
        (state, parts.join(", "))
    }

    fn end(&self, ended_lives: &EndedLives, answer: Option<&Arrow>) -> (State, String) {
        if let Some(answer) = answer.filter(|answer| answer.way == Way::Answered) {
            return (answer.state, format!("answered: {}", answer.outcome));
        }
        if let Some(treated) = self.treated.iter().find(|one| one.dropped.is_none()) {
            let by = treated.plugin.as_ref();
            let words = by.map_or("treated".into(), |plugin| format!("treated by {plugin}"));
            return (State::Treated, words);
        }
        let last = self.sessions.last();
        let cancelled = last.is_some_and(|session| session.ended(Ended::Cancelled).is_some());
        let refused = self.treated.last().and_then(|one| one.dropped.as_ref());
        match refused {
            Some(why) if cancelled => return (State::Cancelled, format!("cancelled: {why}")),
            Some(why) => return (State::Refused, format!("refused: {why}")),
            None => {}
        }
        let cut = |node: &str, after: u64| {
            let first = ended_lives.first(node, after)?;
            Some(format!("{node} was {}", first.words))
        };
        let came = self.delivered.last().copied().or_else(|| self.began());
        if let Some(cut) = came.and_then(|at| cut(&self.to, at)) {
            return (State::Cancelled, format!("{cut} before it was done"));
        }
        if let Some(end) = last.and_then(|session| self.end_of(session)) {
            return end;
        }
        if !self.delivered.is_empty() {
            return if self.was_hit_by("corrupt") {
                (State::Refused, "came changed, and was not read".into())
            } else {
                (
                    State::UnderWay,
                    "delivered, not done when the trace ends".into(),
                )
            };
        }
        if self.was_hit_by("drop") {
            return (State::Dropped, "dropped by a fault at the relay".into());
        }
        if let Some(lost) = self.lost.last() {
            return (State::Lost, format!("lost: {}", lost.why));
        }
        if self.way == Way::Between && self.relayed.is_none() && last.is_none() {
            return match cut(&self.from, self.at) {
                Some(cut) => (State::Lost, format!("lost: {cut} before it left")),
                None => (
                    State::UnderWay,
                    "not at the relay when the trace ends".into(),
                ),
            };
        }
        (State::UnderWay, "not done when the trace ends".into())
    }

    /// When the first plugin began to work on it.
    fn began(&self) -> Option<u64> {
        let calls = self.sessions.iter().flat_map(|session| &session.calls);
        calls.map(|call| call.at).min()
    }

    /// What the plugin says, where nothing else does.
    fn end_of(&self, session: &Session) -> Option<(State, String)> {
        let call = session.calls.last()?;
        let plugin = &session.plugin;
        let why = call.why.as_deref().unwrap_or_default();
        match call.ended {
            Ended::Cancelled => Some((State::Cancelled, format!("{plugin} was cancelled"))),
            Ended::Failed => Some((State::Failed, format!("{plugin} failed: {why}"))),
            Ended::Stopped => Some((State::Failed, format!("{plugin} was stopped: {why}"))),
            // A run goes on until its node has answered the researcher.
            Ended::Nothing | Ended::Effects if self.way == Way::Between => {
                Some((State::Treated, format!("treated by {plugin}")))
            }
            Ended::Nothing | Ended::Effects | Ended::Found => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{Fate, Sample};
    use super::*;

    fn joined(sample: &Sample) -> Joined {
        Joined::of(&sample.trace)
    }

    /// The message with this number.
    fn numbered(joined: &Joined, n: u64) -> &Arrow {
        let found = joined.arrows.iter().find(|arrow| arrow.n == Some(n));
        found.expect("a message")
    }

    #[test]
    fn each_end_of_a_message_is_told_apart() {
        for (fate, state, words) in [
            (
                Fate::Fine,
                State::Treated,
                "treated by additive-sharing, answered by #2",
            ),
            (
                Fate::Dropped,
                State::Dropped,
                "dropped by a fault at the relay",
            ),
            (Fate::Lost, State::Lost, "lost: the relay is down"),
            (
                Fate::Changed,
                State::Refused,
                "changed by a fault (byte 97 changed by 80), refused: cannot be opened: the signature is not the sender's",
            ),
            (
                Fate::Doubled(900),
                State::Treated,
                "doubled by a fault, delivered 2 times, treated by additive-sharing, answered by #2",
            ),
        ] {
            let mut sample = Sample::new();
            sample.share("a", "b", "run", fate, Fate::Fine);
            let joined = joined(&sample);

            let arrow = numbered(&joined, 1);
            assert_eq!((arrow.state, arrow.outcome.as_str()), (state, words));
        }
    }

    #[test]
    fn a_message_under_way_is_none_of_them() {
        let mut sample = Sample::new();
        sample.share("a", "b", "run", Fate::Fine, Fate::Fine);
        let events = sample.trace.events.clone();
        for (kept, words) in [
            (1, "not at the relay when the trace ends"),
            (2, "not done when the trace ends"),
            (3, "delivered, not done when the trace ends"),
        ] {
            sample.trace.events = events[..kept].to_vec();
            sample.trace.sessions.clear();
            let joined = joined(&sample);
            assert_eq!(
                (joined.arrows[0].state, &*joined.arrows[0].outcome),
                (State::UnderWay, words)
            );
        }
    }

    #[test]
    fn what_died_with_a_node_is_cancelled_or_lost() {
        let mut sample = Sample::new();
        sample.share("a", "b", "run", Fate::Fine, Fate::Fine);
        let events = sample.trace.events.clone();
        for (kept, node, state, words) in [
            (1, "a", State::Lost, "lost: a was killed before it left"),
            (3, "b", State::Cancelled, "b was killed before it was done"),
        ] {
            sample.trace.events = events[..kept].to_vec();
            sample.trace.sessions.clear();
            sample.fault("kill", node, 10);
            let joined = joined(&sample);
            assert_eq!(
                (joined.arrows[0].state, &*joined.arrows[0].outcome),
                (state, words)
            );
        }
    }
}
