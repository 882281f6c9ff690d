mod checks;
mod rounds;

use std::collections::BTreeMap;

use backchannel_commit_reveal::{Beacon, Digest, Transcript};
use backchannel_sdk::{Failure, Next, Part, Start, fields};
use serde::{Deserialize, Serialize};

use crate::graph::Graph;
use crate::keys::{Drawn, Secret};
use crate::leader::Leader;
use crate::params::{Params, Plan};
use crate::parcels::{Announced, Confirmed, Heard, Keys, Receipts, Roster, Shares};
use crate::place::{Place, Places};

/// This node's part in a run: a party, and with `leader` the one that gathers too.
pub struct Party {
    start: Start,
    plan: Plan,
    me: Place,
    stage: Stage,
    leader: Option<Leader>,
    /// This node's vector; masked, it is handed over.
    values: Vec<u64>,
    /// What pair masks are agreed with.
    pair: Secret,
    /// What this node's own mask is made of.
    own: Secret,
    drawn: Drawn,
    beacon: Beacon,
    /// Of those who were heard, this node among them.
    keys: BTreeMap<Place, Keys>,
    roster: Option<Roster>,
    agreed: Option<Agreed>,
    /// Who was told the same, in the round under way; this node not among them.
    alike: Places,
    /// Who was told otherwise, or says so.
    differing: Places,
    /// Receipts of the shares that this node dealt.
    receipts: BTreeMap<Place, Receipts>,
    /// Others' shares.
    held: BTreeMap<Place, Shares>,
    announced: Option<Announced>,
    maskers: Places,
    survivors: Places,
}

/// What all members have seen alike once the shares are dealt.
pub struct Agreed {
    /// A hash of the roster and all members' keys.
    pub digest: Digest,
    /// The run as the researcher asked for it.
    pub run: Transcript,
    /// Whose keys and commitments everybody has.
    pub members: Places,
    /// Who is whose neighbour.
    pub graph: Graph,
    /// The shares that a secret is put together from.
    pub threshold: usize,
}

impl Agreed {
    /// Whom a party deals shares to.
    pub fn dealt_to(&self, from: Place) -> Places {
        let neighbours = self.graph.neighbours(from);
        neighbours.intersection(&self.members).copied().collect()
    }
}

/// The round under way.
#[derive(Clone, Copy, PartialEq)]
enum Stage {
    Begun,
    Keys,
    Heard,
    Roster,
    Deal,
    Hold,
    Maskers,
    Agree,
    Masked,
    Survivors,
    Confirm,
    Unmask,
}

/// For the researcher, from the leader.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sum {
    /// One number for each value.
    pub sum: Vec<f64>,
    /// The sum of the weights, if there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<f64>,
    /// Whose vectors are in it.
    pub parties: Vec<String>,
    /// Pairs of parties, one of which lied about a share.
    pub disputed: Vec<(String, String)>,
}

/// For the researcher, from the others.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TookPart {
    /// Whether the leader counted on this party's vector.
    pub included: bool,
    /// Who has the sum.
    pub leader: String,
}

impl Part for Party {
    fn begin(start: Start) -> Result<Self, Failure> {
        let params: Params = start.params()?;
        let plan = params.plan(&start)?;
        let me = Place::of(&start, &start.node_id)?;
        let mut drawn = Drawn::from_host()?;
        Ok(Self {
            me,
            stage: Stage::Begun,
            leader: (plan.leader == me).then(|| Leader::new(me)),
            values: params.values(&plan)?,
            pair: Secret::draw(&mut drawn),
            own: Secret::draw(&mut drawn),
            drawn,
            beacon: Beacon::draw(&start)?,
            keys: BTreeMap::new(),
            roster: None,
            agreed: None,
            alike: Places::new(),
            differing: Places::new(),
            receipts: BTreeMap::new(),
            held: BTreeMap::new(),
            announced: None,
            maskers: Places::new(),
            survivors: Places::new(),
            plan,
            start,
        })
    }

    fn accept(&mut self, from: &str, body: &[u8]) -> Result<(), Failure> {
        let at = Place::of(&self.start, from)?;
        match (self.stage, &mut self.leader) {
            (Stage::Keys, _) => self.accept_keys(at, fields::decode(body)?),
            (Stage::Heard, Some(leader)) => {
                let heard: Heard = fields::decode(body)?;
                self.beacon.check(from, &heard.opening)?;
                leader.hear(at, heard);
            }
            (Stage::Roster, None) => self.roster = Some(fields::decode(body)?),
            (Stage::Deal, _) => self.accept_shares(at, fields::decode(body)?)?,
            (Stage::Hold, Some(leader)) => {
                let agreed = self.agreed.as_ref().ok_or_else(early)?;
                leader.hold(at, fields::decode(body)?, agreed)?;
            }
            (Stage::Maskers | Stage::Survivors, None) => {
                self.announced = Some(fields::decode(body)?);
            }
            (Stage::Masked, Some(leader)) => leader.add(at, &fields::decode(body)?)?,
            (Stage::Agree | Stage::Confirm, _) => {
                let confirmed: Confirmed = fields::decode(body)?;
                let alike = confirmed.named == self.named()?;
                self.compare(at, alike);
            }
            (Stage::Unmask, Some(leader)) => leader.unmask_with(at, fields::decode(body)?),
            // Nothing is gathered then.
            _ => {}
        }
        Ok(())
    }

    fn next(&mut self, _missing: &[String]) -> Result<Next, Failure> {
        match self.stage {
            Stage::Begun => self.tell_keys(),
            Stage::Keys => self.report_heard(),
            Stage::Heard => self.name_members(),
            Stage::Roster => self.deal(),
            Stage::Deal => self.report_held(),
            Stage::Hold => self.name_maskers(),
            Stage::Maskers => self.confirm_maskers(),
            Stage::Agree => self.hand_masked(),
            Stage::Masked => self.name_survivors(),
            Stage::Survivors => self.confirm_survivors(),
            Stage::Confirm => self.reveal(),
            Stage::Unmask => self.finish(),
        }
    }
}

/// The host asks in the order of the rounds, so nobody gets to see this.
fn early() -> Failure {
    Failure::unavailable("a round is not over yet")
}
