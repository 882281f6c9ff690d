//! A party that takes part in each of the protocols that come with the host, and cheats: in two of them it runs the right plugin and
//! changes one parcel of it, in the third its first parcel is wrong.

#[path = "../../../../guest-handlers/patient-overlap/src/common.rs"]
mod common;
#[path = "../../../../guest-handlers/patient-overlap/src/part.rs"]
mod overlap;
#[path = "../../../../guest-handlers/patient-overlap/src/params.rs"]
mod params;
#[path = "../../../../guest-handlers/common-randomness/src/part.rs"]
mod randomness;

use std::collections::BTreeMap;

use backchannel_commit_reveal::{Beacon, Digest, Transcript};
use backchannel_sdk::{ByteArray, Bytes, Failure, Next, Part, Round, Start, export_rounds, fields};
use overlap::{PatientOverlap, Set};
use randomness::CommonRandomness;
use serde::Serialize;

/// The round of `common-randomness` in which all reveal, from 0.
const REVEAL: u32 = 2;
/// The round of `patient-overlap` in which each hands its own points on.
const FIRST_HOP: u32 = 1;

struct Cheating {
    round: u32,
    role: Role,
}

enum Role {
    /// It reveals something else than it committed to, as who has seen the others' bytes and would like other ones.
    Randomness(CommonRandomness),
    /// It hands on points that are not on the curve, as who wants to learn of another's key by what becomes of them.
    Overlap(PatientOverlap),
    /// It agrees on masks with a key that is no point of the curve.
    Sum(Start),
}

/// What `secure-aggregation` begins with.
#[derive(Serialize)]
struct Keys {
    asked: Digest,
    commitment: Digest,
    pair: Bytes,
    own: Bytes,
}

#[derive(Serialize)]
struct Nothing {}

impl Part for Cheating {
    fn begin(start: Start) -> Result<Self, Failure> {
        let role = match start.protocol.as_str() {
            "common-randomness" => Role::Randomness(Part::begin(start)?),
            "patient-overlap" => Role::Overlap(Part::begin(start)?),
            _ => Role::Sum(start),
        };
        Ok(Self { round: 0, role })
    }

    fn accept(&mut self, from: &str, body: &[u8]) -> Result<(), Failure> {
        match &mut self.role {
            Role::Randomness(part) => part.accept(from, body),
            Role::Overlap(part) => part.accept(from, body),
            Role::Sum(_) => Ok(()),
        }
    }

    fn next(&mut self, missing: &[String]) -> Result<Next, Failure> {
        let now = self.round;
        self.round += 1;
        let next = match &mut self.role {
            Role::Randomness(part) => part.next(missing)?,
            Role::Overlap(part) => part.next(missing)?,
            Role::Sum(start) => sum(start, now)?,
        };
        let Next::Round(mut round) = next else {
            return Ok(next);
        };
        match self.role {
            Role::Randomness(_) if now == REVEAL => {
                round.broadcast = round
                    .broadcast
                    .map(|body| reveal_other(&body))
                    .transpose()?;
            }
            Role::Overlap(_) if now == FIRST_HOP => {
                for parcel in &mut round.parcels {
                    parcel.body = off_the_curve(&parcel.body)?;
                }
            }
            _ => {}
        }
        Ok(round.into())
    }
}

fn reveal_other(body: &[u8]) -> Result<Vec<u8>, Failure> {
    let mut opening: BTreeMap<String, ByteArray<32>> = fields::decode(body)?;
    if let Some(random) = opening.get_mut("random") {
        random.0[0] ^= 1;
    }
    fields::encode(&opening)
}

fn off_the_curve(body: &[u8]) -> Result<Vec<u8>, Failure> {
    let mut set: Set = fields::decode(body)?;
    set.points.0.fill(0xff);
    fields::encode(&set)
}

/// Keys for a sum, and then the end: the others are done with this party by then.
fn sum(start: &Start, round: u32) -> Result<Next, Failure> {
    if round > 0 {
        return Next::done(&Nothing {});
    }
    let spoilt = || Bytes([&[2][..], &[0xff; 32]].concat());
    let keys = Keys {
        asked: Transcript::of(start, "asked").digest(),
        commitment: Beacon::draw(start)?.commitment(),
        pair: spoilt(),
        own: spoilt(),
    };
    Ok(Round::new().tell(&keys)?.gather(start.others(), 10).into())
}

export_rounds!(Cheating);
