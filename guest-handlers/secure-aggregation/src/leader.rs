use std::collections::BTreeMap;

use backchannel_commit_reveal::Opening;
use backchannel_sdk::{Failure, Next};

use crate::keys::{Secret, Share};
use crate::mutual::mutual;
use crate::parcels::{Heard, Held, Keys, Masked, Receipts, Unmasking};
use crate::party::Agreed;
use crate::place::{Place, Places};
use crate::shamir;

/// What the leader gathers from the others, its own things among them.
pub struct Leader {
    me: Place,
    heard: BTreeMap<Place, Heard>,
    held: BTreeMap<Place, Held>,
    arrived: Places,
    /// Of the masked vectors that arrived.
    sum: Vec<u64>,
    unmasking: BTreeMap<Place, Unmasking>,
}

/// The sum, without masks.
pub struct Unmasked {
    /// Of all survivors' values.
    pub sum: Vec<u64>,
    /// Who dealt a share and who handed it back as another: one of the two lies. The sum does not hang on it.
    pub disputed: Vec<(Place, Place)>,
}

/// Why there is no sum.
pub struct NoSum {
    /// Who is to blame, if that can be told.
    pub blamed: Option<Place>,
    /// Whose secret it is about.
    pub of: Place,
    /// What is wrong.
    pub why: &'static str,
}

impl Leader {
    /// Has nothing yet.
    pub fn new(me: Place) -> Self {
        Self {
            me,
            heard: BTreeMap::new(),
            held: BTreeMap::new(),
            arrived: Places::new(),
            sum: Vec::new(),
            unmasking: BTreeMap::new(),
        }
    }

    /// A party says whose keys it has.
    pub fn hear(&mut self, from: Place, heard: Heard) {
        self.heard.insert(from, heard);
    }

    /// Those who have each other's keys, with what they committed to.
    pub fn members(&self) -> BTreeMap<Place, Opening> {
        let said = self.heard.keys().copied().collect();
        let linked = |one, other: Place| {
            let heard = self.heard.get(&one);
            heard.is_some_and(|heard| heard.heard.contains(&other))
        };
        let members = mutual(&said, self.me, linked);
        let heard = self.heard.iter();
        let members = heard.filter(|(place, _)| members.contains(place));
        members
            .map(|(place, heard)| (*place, heard.opening.clone()))
            .collect()
    }

    /// A party says whose shares it has, and gives receipts of its own.
    ///
    /// # Errors
    ///
    /// [`Failure::Malformed`] when they are not for exactly those that it deals to.
    pub fn hold(&mut self, from: Place, held: Held, agreed: &Agreed) -> Result<(), Failure> {
        let due = agreed.dealt_to(from);
        if !held.receipts.keys().eq(due.iter()) {
            return Err(Failure::malformed(
                "its receipts are not for its neighbours",
            ));
        }
        self.held.insert(from, held);
        Ok(())
    }

    /// Those who have each other's shares as far as they are neighbours: who masks.
    pub fn maskers(&self, agreed: &Agreed) -> Places {
        let said = self.held.keys().copied().collect();
        mutual(&said, self.me, |one, other| {
            let held = self.held.get(&one);
            !agreed.graph.are_neighbours(one, other)
                || held.is_some_and(|held| held.held.contains(&other))
        })
    }

    /// The leader's own masked vector, which the others' are added to.
    pub fn begin_sum(&mut self, values: Vec<u64>) {
        self.sum = values;
        self.arrived.insert(self.me);
    }

    /// Another party's masked vector.
    ///
    /// # Errors
    ///
    /// [`Failure::Malformed`] when it has more or fewer values than all have.
    pub fn add(&mut self, from: Place, masked: &Masked) -> Result<(), Failure> {
        let (words, rest) = masked.values.0.as_chunks();
        if words.len() != self.sum.len() || !rest.is_empty() {
            return Err(Failure::malformed("its vector has another length"));
        }
        for (sum, word) in self.sum.iter_mut().zip(words) {
            *sum = sum.wrapping_add(u64::from_le_bytes(*word));
        }
        self.arrived.insert(from);
        Ok(())
    }

    /// Whose vectors are in the sum.
    pub fn survivors(&self) -> &Places {
        &self.arrived
    }

    /// A survivor's shares of the secrets that the sum is unmasked with.
    pub fn unmask_with(&mut self, from: Place, unmasking: Unmasking) {
        self.unmasking.insert(from, unmasking);
    }

    /// Takes all masks off: of survivors the own one, of who vanished after it was counted on those that it has in common with survivors.
    ///
    /// # Errors
    ///
    /// When too few shares of a secret came, or they are of another.
    pub fn unmask(
        &mut self,
        agreed: &Agreed,
        keys: &BTreeMap<Place, Keys>,
        maskers: &Places,
    ) -> Result<Unmasked, NoSum> {
        let mut sum = std::mem::take(&mut self.sum);
        let mut disputed = Vec::new();
        for of in maskers {
            let Some(public) = keys.get(of) else {
                continue;
            };
            if self.arrived.contains(of) {
                let share = |unmasking: &Unmasking| unmasking.own.get(of).copied();
                let receipt = |receipts: &Receipts| receipts.own;
                let own = self.secret(*of, agreed, share, receipt, &mut disputed)?;
                is_of(*of, own.public() == public.own)?;
                own.own_mask(&agreed.digest).take_from(&mut sum);
                continue;
            }
            let share = |unmasking: &Unmasking| unmasking.pair.get(of).copied();
            let receipt = |receipts: &Receipts| receipts.pair;
            let pair = self.secret(*of, agreed, share, receipt, &mut disputed)?;
            is_of(*of, pair.public() == public.pair)?;
            let neighbours = agreed.graph.neighbours(*of);
            for masker in neighbours.intersection(&self.arrived) {
                let Some(other) = keys.get(masker) else {
                    continue;
                };
                let mask = pair.pair_mask(&other.pair, &agreed.digest);
                match masker < of {
                    true => mask.take_from(&mut sum),
                    false => mask.add_to(&mut sum),
                }
            }
        }
        Ok(Unmasked { sum, disputed })
    }

    /// A party's secret, of the shares that its receipts bear out.
    fn secret(
        &self,
        of: Place,
        agreed: &Agreed,
        share: impl Fn(&Unmasking) -> Option<Share>,
        receipt: impl Fn(&Receipts) -> backchannel_commit_reveal::Digest,
        disputed: &mut Vec<(Place, Place)>,
    ) -> Result<Secret, NoSum> {
        let mut shares = BTreeMap::new();
        for (holder, receipts) in self.held.get(&of).iter().flat_map(|held| &held.receipts) {
            let Some(share) = self.unmasking.get(holder).and_then(&share) else {
                continue;
            };
            match share.receipt(&agreed.run) == receipt(receipts) {
                true => drop(shares.insert(*holder, share.0)),
                false => disputed.push((of, *holder)),
            }
        }
        let no_sum = |blamed, why| NoSum { blamed, of, why };
        while shares.len() > agreed.threshold {
            shares.pop_last();
        }
        if shares.len() < agreed.threshold {
            return Err(no_sum(None, "too few shares came"));
        }
        let secret = Secret::new(shamir::combine(&shares));
        secret.ok_or_else(|| no_sum(Some(of), DEALT_WRONG))
    }
}

/// Shares that bear out their dealer's receipts and are not of its key: nobody else can have made both.
const DEALT_WRONG: &str = "it dealt shares of something else than its key";

fn is_of(of: Place, alike: bool) -> Result<(), NoSum> {
    let blamed = Some(of);
    let why = DEALT_WRONG;
    match alike {
        true => Ok(()),
        false => Err(NoSum { blamed, of, why }),
    }
}

impl NoSum {
    /// The end of the run.
    pub fn abort(&self, name: impl Fn(Place) -> String) -> Next {
        let why = format!("the secret of {}: {}", name(self.of), self.why);
        Next::blame(self.blamed.map(name), why)
    }
}
