//! Whoever asks much, or in vain, hardly delays others. Measured on the requests that a scenario has nodes make again and again:
//! what those take beside it, and what they take otherwise. Nothing is said of runs with faults, which delay
//! requests too, unless plugins are slow all the while.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::sandbox::asking::Asked;
use crate::sandbox::evidence::Evidence;
use crate::sandbox::faults::{Accident, Planned};
use crate::sandbox::scenario::{Ended, Scenario};

/// A peer floods when it makes so many requests within [`FLOOD_WITHIN`].
const FLOOD: usize = 500;
const FLOOD_WITHIN: Duration = Duration::from_secs(5);
/// So many requests in vain at a time are looked at.
const IN_VAIN: usize = 500;
/// A percentile says something of so many requests.
const ENOUGH: usize = 100;
/// How much longer the 99th percentile may be.
const MOST_LONGER: u32 = 2;

/// Other peers while one floods.
pub(super) fn by_floods(evidence: &Evidence<'_>) -> Vec<String> {
    hindered(evidence, |crowd| {
        let last = crowd.last().map(|asked| asked.at)?;
        let dense = crowd.windows(FLOOD).any(|some| match some {
            [first, .., last] => last.at - first.at <= FLOOD_WITHIN,
            _ => false,
        });
        let until = crowd.iter().filter_map(|asked| asked.end);
        let until = until.map(|(end, _)| end).max().unwrap_or(last);
        dense.then_some(until)
    })
}

/// Everybody else while requests wait that are never answered. They may take the turns of who makes them: 200, where an honest node
/// has at most 64 runs under way.
pub(super) fn by_requests_in_vain(evidence: &Evidence<'_>) -> Vec<String> {
    hindered(evidence, |crowd| {
        let expired = crowd.iter().filter_map(|asked| match asked.end {
            Some((end, Ended::Expired)) => Some(end),
            _ => None,
        });
        let expired: Vec<_> = expired.collect();
        (expired.len() >= IN_VAIN).then(|| expired.into_iter().max())?
    })
}

/// What takes longer beside the requests of one group, of which `until` says whether and how long they may be felt.
fn hindered(evidence: &Evidence<'_>, until: impl Fn(&[&Asked]) -> Option<Duration>) -> Vec<String> {
    if !is_even(evidence.scenario) {
        return Vec::new();
    }
    let groups = groups(evidence.asked);
    let mut found = Vec::new();
    for crowd in groups.values() {
        let Some((first, until)) = crowd.first().zip(until(crowd)) else {
            continue;
        };
        for others in groups
            .values()
            .filter(|others| others[0].from != first.from)
        {
            let beside = |asked: &&&Asked| asked.at >= first.at && asked.at <= until;
            let (beside, else_): (Vec<_>, Vec<_>) = others.iter().partition(beside);
            let Some((beside, usual)) = p99(&beside).zip(p99(&else_)) else {
                continue;
            };
            if beside > usual * MOST_LONGER {
                let (asks, whom, much) = (&others[0].from, &others[0].to, &first.from);
                found.push(format!(
                    "requests of {asks} to {whom} take {beside:?} beside those of {much}, and {usual:?} otherwise"
                ));
            }
        }
    }
    found
}

/// Whether nothing but what is asked makes one time other than the next: there are no faults, except plugins that are slow from
/// before the first request until everything is healed.
fn is_even(scenario: &Scenario) -> bool {
    let first = scenario.asks.iter().map(|ask| ask.at).min();
    let all_the_while = |planned: &Planned| {
        planned.accident == Accident::SlowPlugins
            && first.is_none_or(|first| planned.at < first)
            && planned.at + planned.lasting >= scenario.heal
            && scenario
                .asks
                .iter()
                .all(|ask| ask.at + ask.times * ask.every < scenario.heal)
    };
    scenario.hits.is_empty()
        && scenario.faults.is_none()
        && scenario.accidents.iter().all(all_the_while)
}

/// The requests of each of the scenario's `ask`, in order of time.
fn groups(asked: &[Asked]) -> BTreeMap<usize, Vec<&Asked>> {
    let mut groups = BTreeMap::<_, Vec<_>>::new();
    for asked in asked {
        groups.entry(asked.ask).or_default().push(asked);
    }
    groups
}

/// What 99 of 100 take at most, if there are enough to say.
fn p99(asked: &[&&Asked]) -> Option<Duration> {
    let mut took: Vec<_> = asked
        .iter()
        .filter_map(|asked| asked.end.map(|(end, _)| end - asked.at))
        .collect();
    took.sort();
    let at = (took.len() * 99).div_ceil(100);
    (took.len() >= ENOUGH).then(|| took.get(at - 1).copied())?
}

#[cfg(test)]
mod tests {
    use super::super::sample::{Sample, node};
    use super::*;

    const USUAL: Duration = Duration::from_millis(20);

    /// Requests of `node-2` every 50 ms for 20 s, of which those in the 5 s from the tenth on take `longer`; and from the tenth
    /// second on 500 of `node-1`, which end as said.
    fn crowded(longer: Duration, ended: Ended, after: Duration) -> Sample {
        let mut sample = Sample::new();
        let mut asks = |ask, from, at, end| {
            let (from, to) = (node(from), node(0));
            sample.asked.push(Asked {
                ask,
                from,
                to,
                at,
                end: Some(end),
            });
        };
        for nth in 0..400 {
            let at = Duration::from_millis(50) * nth;
            let beside = (200..300).contains(&nth);
            let took = if beside { longer } else { USUAL };
            asks(0, 2, at, (at + took, Ended::Answered));
        }
        for nth in 0..500 {
            let at = Duration::from_secs(10) + Duration::from_millis(2) * nth;
            asks(1, 1, at, (at + after, ended));
        }
        sample
    }

    #[test]
    fn finds_who_waits_more_than_twice_as_long_beside_a_flood() {
        let after = Duration::from_secs(4);
        let flooded = |longer| crowded(longer, Ended::Answered, after);
        flooded(USUAL * 2).holds(by_floods);

        let found = by_floods(&flooded(USUAL * 2 + Duration::from_millis(1)).evidence());
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("node-2 to node-0"), "{found:?}");
    }

    #[test]
    fn finds_who_waits_longer_beside_requests_in_vain() {
        let after = Duration::from_secs(30);
        let in_vain = |longer| crowded(longer, Ended::Expired, after);
        in_vain(USUAL).holds(by_requests_in_vain);

        let found = by_requests_in_vain(&in_vain(USUAL * 20).evidence());
        assert_eq!(found.len(), 1, "{found:?}");
    }

    #[test]
    fn finds_who_waits_longer_although_a_flood_is_never_answered() {
        let in_vain = crowded(USUAL * 20, Ended::Failed, Duration::from_secs(4));

        assert_eq!(by_floods(&in_vain.evidence()).len(), 1);
    }

    #[test]
    fn plugins_that_are_slow_all_the_while_make_no_difference() {
        let mut sample = crowded(USUAL * 20, Ended::Answered, Duration::from_secs(4));
        let mut slow = Planned {
            at: Duration::ZERO,
            accident: Accident::SlowPlugins,
            node: 0,
            lasting: sample.scenario.heal,
            draw: 0,
        };
        sample.scenario.accidents = vec![slow.clone()];
        assert_eq!(by_floods(&sample.evidence()).len(), 1);

        slow.lasting -= Duration::from_secs(1);
        sample.scenario.accidents = vec![slow];
        sample.holds(by_floods);
    }

    #[test]
    fn says_nothing_of_runs_in_which_messages_are_delayed_anyway() {
        let mut sample = crowded(USUAL * 20, Ended::Answered, Duration::from_secs(4));
        sample.scenario.faults = "delay=1s".parse().expect("faults");

        sample.holds(by_floods);
    }
}
