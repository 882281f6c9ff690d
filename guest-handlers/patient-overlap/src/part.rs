use std::collections::BTreeMap;

use backchannel_commit_reveal::{Digest, Transcript};
use backchannel_sdk::blinding::POINT;
use backchannel_sdk::{Bytes, Failure, Next, Part, Round, Start, blinding, fields};
use serde::{Deserialize, Serialize};

use crate::common::Common;
use crate::params::Params;

/// To all: how many ids a party has.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Count {
    /// A hash of what the researcher asked.
    pub asked: Digest,
    /// Its ids.
    pub count: u32,
}

/// To the next in the ring, and in the end to the leader: a set of points.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Set {
    /// A hash of all parties' counts.
    pub counts: Digest,
    /// One after the other.
    pub points: Bytes,
}

/// For the researcher, from the leader.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Overlap {
    /// The ids that all have; nothing when they are too few to be told.
    pub overlap: Option<u32>,
    /// A smaller overlap is not told.
    pub suppress_below: u32,
    /// Each party's ids.
    pub counts: BTreeMap<String, u32>,
}

/// For the researcher, from the others.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TookPart {
    /// Who counts.
    pub leader: String,
    /// Each party's ids.
    pub counts: BTreeMap<String, u32>,
}

/// This node's part. The parties stand in a ring, in the researcher's order.
pub struct PatientOverlap {
    start: Start,
    params: Params,
    me: usize,
    leader: usize,
    stage: Stage,
    /// How many ids each has, as it told this node.
    counts: Vec<u32>,
    /// Who says something else than this node about what all have to have seen alike.
    differing: Vec<String>,
    /// The set that this node holds: its own at first, then one that is a party farther back in the ring at each hop.
    held: Vec<u8>,
    common: Common,
}

/// The round under way.
#[derive(Clone, Copy)]
enum Stage {
    Begun,
    Counts,
    /// The so-manieth hand-over in the ring, from 1.
    Hop(usize),
    Last,
}

impl Part for PatientOverlap {
    fn begin(start: Start) -> Result<Self, Failure> {
        let params: Params = start.params()?;
        let leader = params.leader(&start)?;
        let me = start.parties.iter().position(|one| *one == start.node_id);
        let me = me.ok_or_else(|| Failure::refused("this node is no party of the run"))?;
        let held = blinding::ids(&params.input)?;
        let count = u32::try_from(held.len() / POINT);
        let mut counts = vec![0; start.parties.len()];
        counts[me] = count.map_err(|_| Failure::refused("the input holds too many ids"))?;
        Ok(Self {
            me,
            leader,
            stage: Stage::Begun,
            counts,
            differing: Vec::new(),
            held,
            common: Common::default(),
            params,
            start,
        })
    }

    fn accept(&mut self, from: &str, body: &[u8]) -> Result<(), Failure> {
        let sender = self.start.parties.iter().position(|party| party == from);
        let sender = sender.ok_or_else(|| Failure::refused("no party of the run"))?;
        match self.stage {
            Stage::Begun => Ok(()),
            Stage::Counts => {
                let count: Count = fields::decode(body)?;
                self.counts[sender] = count.count;
                self.compare(from, count.asked == self.asked());
                Ok(())
            }
            Stage::Hop(hop) => {
                if let Some(points) = self.set_of(self.back(hop), from, body)? {
                    // The host finds points off the curve and two alike, and says `malformed`, which blames the sender.
                    self.held = blinding::points(&points)?;
                }
                Ok(())
            }
            Stage::Last => {
                let origin = (sender + 1) % self.start.parties.len();
                if let Some(points) = self.set_of(origin, from, body)? {
                    self.common.leave(&points)?;
                }
                Ok(())
            }
        }
    }

    fn next(&mut self, _missing: &[String]) -> Result<Next, Failure> {
        let hops = self.start.parties.len() - 1;
        if !self.differing.is_empty() {
            return Ok(self.given_up());
        }
        match self.stage {
            Stage::Begun => {
                self.stage = Stage::Counts;
                let count = Count {
                    asked: self.asked(),
                    count: self.counts[self.me],
                };
                let round = Round::new().tell(&count)?;
                Ok(self.gather(round, self.start.others()))
            }
            Stage::Counts => self.hop(1),
            Stage::Hop(hop) if hop < hops => self.hop(hop + 1),
            Stage::Hop(_) => self.end_at_leader(),
            Stage::Last => self.finish(),
        }
    }
}

impl PatientOverlap {
    /// Hands the set that this node holds to the next in the ring.
    fn hop(&mut self, hop: usize) -> Result<Next, Failure> {
        self.stage = Stage::Hop(hop);
        let parties = &self.start.parties;
        let round = Round::new().hand(&parties[(self.me + 1) % parties.len()], &self.set())?;
        Ok(self.gather(round, [parties[self.back(1)].as_str()]))
    }

    /// All have blinded the set that this node holds: the leader may count.
    fn end_at_leader(&mut self) -> Result<Next, Failure> {
        self.stage = Stage::Last;
        if self.me != self.leader {
            let leader = &self.start.parties[self.leader];
            return Ok(Round::new().hand(leader, &self.set())?.into());
        }
        self.common.leave(&self.held)?;
        Ok(self.gather(Round::new(), self.start.others()))
    }

    fn finish(&self) -> Result<Next, Failure> {
        let counts = self.counts.iter().copied();
        let counts = self.start.parties.iter().cloned().zip(counts).collect();
        if self.me != self.leader {
            let leader = self.start.parties[self.leader].clone();
            return Next::done(&TookPart { leader, counts });
        }
        let suppress_below = self.params.suppress_below;
        let overlap = u32::try_from(self.common.count()).ok();
        Next::done(&Overlap {
            overlap: overlap.filter(|overlap| *overlap >= suppress_below),
            suppress_below,
            counts,
        })
    }

    /// Who stands so many places before this node.
    fn back(&self, steps: usize) -> usize {
        let parties = self.start.parties.len();
        (self.me + parties - steps % parties) % parties
    }

    fn set(&self) -> Set {
        Set {
            counts: self.counts_digest(),
            points: self.held.as_slice().into(),
        }
    }

    /// The points of a set that was `origin`'s in the beginning; nothing when its sender knows other counts than this node.
    ///
    /// A sender that knows the same has had to refuse a set of another size itself, so if it hands one on, that is its doing.
    fn set_of(
        &mut self,
        origin: usize,
        from: &str,
        body: &[u8],
    ) -> Result<Option<Vec<u8>>, Failure> {
        let set: Set = fields::decode(body)?;
        let alike = set.counts == self.counts_digest();
        self.compare(from, alike);
        if !alike {
            return Ok(None);
        }
        if set.points.0.len() != self.counts[origin] as usize * POINT {
            let origin = &self.start.parties[origin];
            let why = format!("hands over another number of points than {origin} counted");
            return Err(Failure::malformed(why));
        }
        Ok(Some(set.points.0))
    }

    fn asked(&self) -> Digest {
        Transcript::of(&self.start, "asked").digest()
    }

    fn counts_digest(&self) -> Digest {
        let counts = self.counts.iter();
        let transcript = Transcript::of(&self.start, "counts");
        counts
            .fold(transcript, |transcript, count| {
                transcript.with(count.to_be_bytes())
            })
            .digest()
    }

    fn compare(&mut self, from: &str, alike: bool) {
        if !alike {
            self.differing.push(from.to_owned());
        }
    }

    fn gather<'a>(&self, round: Round, from: impl IntoIterator<Item = &'a str>) -> Next {
        round.gather(from, self.params.seconds).into()
    }

    /// Nobody is blamed: who lies, one that differs or a third, cannot be told.
    fn given_up(&self) -> Next {
        let differing = self.differing.join(", ");
        Next::give_up(match self.stage {
            Stage::Counts => {
                format!("{differing} was asked for another run by the researcher, or says so")
            }
            _ => format!("{differing} was told other counts by some party, or says so"),
        })
    }
}
