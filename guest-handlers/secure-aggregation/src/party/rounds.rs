//! The rounds, in their order: what each hands over and waits for, once the one before it is over.

use std::collections::BTreeMap;

use backchannel_commit_reveal::Transcript;
use backchannel_sdk::{Failure, Next, Round};

use super::{Party, Stage, Sum, early};
use crate::keys::{Secret, Share};
use crate::parcels::{Dealt, Heard, Held, Keys, Masked, Receipts, Roster, Shares, Unmasking};
use crate::place::{Place, Places, names};
use crate::shamir;

impl Party {
    pub(super) fn tell_keys(&mut self) -> Result<Next, Failure> {
        self.stage = Stage::Keys;
        let own = Keys {
            asked: Transcript::of(&self.start, "asked").digest(),
            commitment: self.beacon.commitment(),
            pair: self.pair.public(),
            own: self.own.public(),
        };
        self.keys.insert(self.me, own.clone());
        let all = Place::all(self.start.parties.len()).collect();
        Ok(self.gather(Round::new().tell(&own)?, &all).into())
    }

    pub(super) fn accept_keys(&mut self, from: Place, keys: Keys) {
        let own = self.keys.get(&self.me).map(|own| own.asked);
        let alike = own == Some(keys.asked);
        self.compare(from, alike);
        if alike {
            self.beacon.commit(from.name(&self.start), keys.commitment);
            self.keys.insert(from, keys);
        }
    }

    pub(super) fn report_heard(&mut self) -> Result<Next, Failure> {
        self.stage = Stage::Heard;
        let without_leader = !self.keys.contains_key(&self.plan.leader);
        if without_leader && !self.differing.contains(&self.plan.leader) {
            return Ok(Next::give_up("the leader was not heard"));
        }
        if without_leader || !self.enough_alike() {
            return Ok(self.given_up("was asked for another run by the researcher, or says so"));
        }
        let heard = Heard {
            heard: self.keys.keys().copied().collect(),
            opening: self.beacon.opening().clone(),
        };
        let from = heard.heard.clone();
        match &mut self.leader {
            Some(leader) => {
                leader.hear(self.me, heard);
                Ok(self.gather(Round::new(), &from).into())
            }
            None => self.to_leader(&heard),
        }
    }

    pub(super) fn name_members(&mut self) -> Result<Next, Failure> {
        self.stage = Stage::Roster;
        let Some(leader) = &self.leader else {
            return Ok(self.await_leader());
        };
        let length = u32::try_from(self.values.len());
        let roster = Roster {
            length: length.map_err(|_| Failure::refused("the input has too many values"))?,
            members: leader.members(),
        };
        if roster.members.len() < self.plan.tolerance.quorum() {
            return Ok(Next::give_up("too few parties have heard each other"));
        }
        let round = Round::new().tell(&roster)?;
        self.roster = Some(roster);
        Ok(round.into())
    }

    pub(super) fn deal(&mut self) -> Result<Next, Failure> {
        self.stage = Stage::Deal;
        let Some(roster) = self.roster.take() else {
            return Err(early());
        };
        let members: Places = roster.members.keys().copied().collect();
        let all = self.keys.keys().copied().collect();
        if let Some(end) = self.left_out(&members, &all)? {
            return Ok(end);
        }
        if usize::try_from(roster.length) != Ok(self.values.len()) {
            let (own, length) = (self.values.len(), roster.length);
            let why = format!("the input has {own} values here, and {length} at the leader's");
            return Err(Failure::refused(why));
        }
        for (member, opening) in &roster.members {
            let name = member.name(&self.start);
            if self.beacon.open(name, opening).is_err() {
                let why = "or the leader tells something else than was committed to";
                return Ok(Next::give_up(format!("{name} {why}")));
            }
        }
        let agreed = self.agree(&roster, members)?;
        let dealt_to = agreed.dealt_to(self.me);
        let threshold = agreed.threshold;
        let mut share = |secret: &Secret| {
            shamir::split(
                secret.scalar(),
                threshold,
                dealt_to.clone(),
                &mut self.drawn,
            )
        };
        let (pair, own) = (share(&self.pair), share(&self.own));
        let roster = agreed.digest;
        let mut round = Round::new().tell(&Dealt {
            roster,
            shares: None,
        })?;
        for ((to, pair), own) in pair.into_iter().zip(own.into_values()) {
            let (pair, own) = (Share(pair), Share(own));
            let receipts = Receipts {
                pair: pair.receipt(&agreed.run),
                own: own.receipt(&agreed.run),
            };
            self.receipts.insert(to, receipts);
            let shares = Some(Shares { pair, own });
            round = round.hand(to.name(&self.start), &Dealt { roster, shares })?;
        }
        let round = self.gather(round, &agreed.members);
        self.agreed = Some(agreed);
        Ok(round.into())
    }

    pub(super) fn accept_shares(&mut self, from: Place, dealt: Dealt) -> Result<(), Failure> {
        let agreed = self.agreed.as_ref().ok_or_else(early)?;
        let alike = dealt.roster == agreed.digest;
        if alike {
            let due = agreed.dealt_to(self.me).contains(&from);
            match (due, dealt.shares) {
                (true, Some(shares)) => drop(self.held.insert(from, shares)),
                (false, None) => {}
                _ => return Err(Failure::malformed("shares are for neighbours, and for all")),
            }
        }
        self.compare(from, alike);
        Ok(())
    }

    pub(super) fn report_held(&mut self) -> Result<Next, Failure> {
        self.stage = Stage::Hold;
        if !self.enough_alike() {
            return Ok(self.given_up("was told of other members or keys, or says so"));
        }
        let held = Held {
            held: self.held.keys().copied().collect(),
            receipts: std::mem::take(&mut self.receipts),
        };
        match (&mut self.leader, &self.agreed) {
            (Some(leader), Some(agreed)) => {
                leader.hold(self.me, held, agreed)?;
                Ok(self.gather(Round::new(), &agreed.members).into())
            }
            _ => self.to_leader(&held),
        }
    }

    pub(super) fn name_maskers(&mut self) -> Result<Next, Failure> {
        self.stage = Stage::Maskers;
        match (&self.leader, &self.agreed) {
            (Some(leader), Some(agreed)) => {
                let parties = leader.maskers(agreed);
                self.announce(parties)
            }
            _ => Ok(self.await_leader()),
        }
    }

    pub(super) fn confirm_maskers(&mut self) -> Result<Next, Failure> {
        self.stage = Stage::Agree;
        let (Some(announced), Some(agreed)) = (self.announced.take(), &self.agreed) else {
            return Err(early());
        };
        if let Some(end) = self.left_out(&announced.parties, &agreed.members)? {
            return Ok(end);
        }
        self.maskers = announced.parties;
        let mut neighbours = self.masked_with();
        if !neighbours.all(|neighbour| self.held.contains_key(&neighbour)) {
            return Ok(self.blame_leader("counts on a party whose shares did not come"));
        }
        drop(neighbours);
        self.confirm(self.maskers.clone())
    }

    /// Only now, as all who hand over a vector have to mask with the same parties: a leader that names each of them others could
    /// have a party mask with conspirators alone.
    pub(super) fn hand_masked(&mut self) -> Result<Next, Failure> {
        self.stage = Stage::Masked;
        if !self.enough_alike() {
            return Ok(self.given_up("was told of other parties by the leader, or says so"));
        }
        let agreed = self.agreed.as_ref().ok_or_else(early)?;
        let mut values = std::mem::take(&mut self.values);
        self.own.own_mask(&agreed.digest).add_to(&mut values);
        for neighbour in self.masked_with() {
            let keys = self.keys.get(&neighbour).ok_or_else(early)?;
            let mask = self.pair.pair_mask(&keys.pair, &agreed.digest);
            // The two of a pair go opposite ways, so that it falls out of the sum.
            match self.me < neighbour {
                true => mask.add_to(&mut values),
                false => mask.take_from(&mut values),
            }
        }
        match &mut self.leader {
            Some(leader) => {
                leader.begin_sum(values);
                Ok(self.gather(Round::new(), &self.maskers).into())
            }
            None => {
                let bytes = values.iter().flat_map(|value| value.to_le_bytes());
                let values = bytes.collect::<Vec<u8>>().into();
                self.to_leader(&Masked { values })
            }
        }
    }

    pub(super) fn name_survivors(&mut self) -> Result<Next, Failure> {
        self.stage = Stage::Survivors;
        match &self.leader {
            Some(leader) => {
                let parties = leader.survivors().clone();
                self.announce(parties)
            }
            None => Ok(self.await_leader()),
        }
    }

    pub(super) fn confirm_survivors(&mut self) -> Result<Next, Failure> {
        self.stage = Stage::Confirm;
        let announced = self.announced.take().ok_or_else(early)?;
        if let Some(end) = self.left_out(&announced.parties, &self.maskers)? {
            return Ok(end);
        }
        self.survivors = announced.parties;
        self.confirm(self.survivors.clone())
    }

    /// The only place where shares leave: when a quorum was told of the same survivors, for each neighbour one of the two.
    pub(super) fn reveal(&mut self) -> Result<Next, Failure> {
        self.stage = Stage::Unmask;
        if !self.enough_alike() {
            return Ok(self.given_up("was told of other survivors by the leader, or says so"));
        }
        let mut unmasking = Unmasking {
            pair: BTreeMap::new(),
            own: BTreeMap::new(),
        };
        for (neighbour, shares) in std::mem::take(&mut self.held) {
            if self.survivors.contains(&neighbour) {
                unmasking.own.insert(neighbour, shares.own);
            } else if self.maskers.contains(&neighbour) {
                unmasking.pair.insert(neighbour, shares.pair);
            }
        }
        match &mut self.leader {
            Some(leader) => {
                leader.unmask_with(self.me, unmasking);
                Ok(self.gather(Round::new(), &self.survivors).into())
            }
            None => self.to_leader(&unmasking),
        }
    }

    pub(super) fn finish(&mut self) -> Result<Next, Failure> {
        let (Some(leader), Some(agreed)) = (&mut self.leader, &self.agreed) else {
            return self.took_part(true);
        };
        let unmasked = match leader.unmask(agreed, &self.keys, &self.maskers) {
            Ok(unmasked) => unmasked,
            Err(no_sum) => return Ok(no_sum.abort(|place| place.name(&self.start).to_owned())),
        };
        let fixed = self.plan.fixed;
        let mut sum: Vec<f64> = unmasked.sum.iter().map(|sum| fixed.decode(*sum)).collect();
        let weight = if self.plan.weighted { sum.pop() } else { None };
        let name = |place: Place| place.name(&self.start).to_owned();
        let disputed = unmasked.disputed.into_iter();
        Next::done(&Sum {
            sum,
            weight,
            parties: names(self.survivors.iter().copied(), &self.start),
            disputed: disputed
                .map(|(one, other)| (name(one), name(other)))
                .collect(),
        })
    }
}
