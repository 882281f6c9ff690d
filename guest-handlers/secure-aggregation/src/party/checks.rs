//! What several rounds have in common: whom they wait for, and what the leader says held against what others were told.

use backchannel_commit_reveal::{Digest, Transcript};
use backchannel_sdk::{Failure, Next, Round, fields};
use serde::Serialize;

use super::{Agreed, Party, TookPart, early};
use crate::graph::Graph;
use crate::parcels::{Announced, Confirmed, Roster};
use crate::place::{Place, Places, names};

impl Party {
    /// Waits for a party's parcel from as many of `from` as can go on, this node counted.
    pub(super) fn gather(&self, round: Round, from: &Places) -> Round {
        let others = from.iter().copied().filter(|place| *place != self.me);
        let quorum = self.plan.tolerance.quorum() - 1;
        let round = round.gather(names(others, &self.start), self.plan.seconds);
        round.quorum(quorum)
    }

    pub(super) fn to_leader<T: Serialize>(&self, parcel: &T) -> Result<Next, Failure> {
        let leader = self.plan.leader.name(&self.start);
        Ok(Round::new().hand(leader, parcel)?.into())
    }

    /// The leader waits for others twice before it announces anything, and begins perhaps later.
    pub(super) fn await_leader(&self) -> Next {
        let leader = self.plan.leader.name(&self.start);
        Round::new().gather([leader], 3 * self.plan.seconds).into()
    }

    /// Tells others what the leader has told so far, and hears whether they were told the same.
    pub(super) fn confirm(&mut self, with: Places) -> Result<Next, Failure> {
        self.alike.clear();
        self.differing.clear();
        let named = self.named()?;
        let round = Round::new().tell(&Confirmed { named })?;
        Ok(self.gather(round, &with).into())
    }

    /// Whom this node's vector is masked with.
    pub(super) fn masked_with(&self) -> impl Iterator<Item = Place> {
        let agreed = self.agreed.as_ref();
        let neighbours = agreed.map(|agreed| agreed.graph.neighbours(self.me));
        let neighbours = neighbours.into_iter().flatten();
        neighbours.filter(|neighbour| self.maskers.contains(neighbour))
    }

    /// What the leader tells all, itself too.
    pub(super) fn announce(&mut self, parties: Places) -> Result<Next, Failure> {
        if parties.len() < self.plan.tolerance.quorum() {
            return Ok(Next::give_up("too few parties are left"));
        }
        let announced = Announced { parties };
        let round = Round::new().tell(&announced)?;
        self.announced = Some(announced);
        Ok(round.into())
    }

    /// Ends this part if the leader announced parties without it, and otherwise holds them against what the leader can have
    /// known.
    pub(super) fn left_out(
        &self,
        parties: &Places,
        known: &Places,
    ) -> Result<Option<Next>, Failure> {
        if !parties.contains(&self.me) {
            return self.took_part(false).map(Some);
        }
        if !parties.contains(&self.plan.leader) || !parties.is_subset(known) {
            return Ok(Some(
                self.blame_leader("names parties that it cannot count on"),
            ));
        }
        let too_few = parties.len() < self.plan.tolerance.quorum();
        Ok(too_few.then(|| self.blame_leader("goes on with too few")))
    }

    pub(super) fn took_part(&self, included: bool) -> Result<Next, Failure> {
        let leader = self.plan.leader.name(&self.start).to_owned();
        Next::done(&TookPart { included, leader })
    }

    pub(super) fn agree(&mut self, roster: &Roster, members: Places) -> Result<Agreed, Failure> {
        self.alike.clear();
        self.differing.clear();
        let mut digest = Transcript::of(&self.start, "roster").with(fields::encode(roster)?);
        for member in &members {
            let keys = self.keys.get(member).ok_or_else(early)?;
            digest = digest.with(fields::encode(keys)?);
        }
        let tolerance = &self.plan.tolerance;
        let randomness = self.beacon.randomness();
        Ok(Agreed {
            digest: digest.digest(),
            run: Transcript::of(&self.start, "shares"),
            members,
            graph: Graph::draw(tolerance.parties(), tolerance.neighbours(), &randomness),
            threshold: tolerance.threshold(),
        })
    }

    /// A hash of all that the leader has told so far.
    pub(super) fn named(&self) -> Result<Digest, Failure> {
        let agreed = self.agreed.as_ref().ok_or_else(early)?;
        let named = Transcript::of(&self.start, "named").with(agreed.digest.0);
        let maskers = Announced {
            parties: self.maskers.clone(),
        };
        let survivors = Announced {
            parties: self.survivors.clone(),
        };
        let named = named.with(fields::encode(&maskers)?);
        Ok(named.with(fields::encode(&survivors)?).digest())
    }

    pub(super) fn compare(&mut self, from: Place, alike: bool) {
        match alike {
            true => self.alike.insert(from),
            false => self.differing.insert(from),
        };
    }

    pub(super) fn enough_alike(&self) -> bool {
        self.alike.len() + 1 >= self.plan.tolerance.quorum()
    }

    pub(super) fn blame_leader(&self, why: &str) -> Next {
        let leader = self.plan.leader.name(&self.start);
        Next::blame([leader], format!("the leader {why}"))
    }

    /// Nobody is blamed: who lies, one that differs or a third, cannot be told.
    pub(super) fn given_up(&self, why: &str) -> Next {
        let differing = names(self.differing.iter().copied(), &self.start).join(", ");
        Next::give_up(format!("too few go on: {differing} {why}"))
    }
}
