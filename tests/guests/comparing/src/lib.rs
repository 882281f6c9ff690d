//! Two parties count the ids that they share, and each adds up the numbers that it is granted.

use std::collections::BTreeSet;

use backchannel_sdk::{Failure, Next, Part, Round, Start, blinding, export_rounds, inputs};
use serde::Serialize;

/// The names that it asks its host for.
const IDS: &str = "patients";
const NUMBERS: &str = "ages";

#[derive(Serialize)]
struct Found {
    common: u32,
    sum: f64,
}

struct Comparing {
    start: Start,
    round: u32,
    /// The other's points, blinded by both.
    theirs: Vec<u8>,
    /// And this party's own.
    ours: Vec<u8>,
}

impl Part for Comparing {
    fn begin(start: Start) -> Result<Self, Failure> {
        Ok(Self {
            start,
            round: 0,
            theirs: Vec::new(),
            ours: Vec::new(),
        })
    }

    fn accept(&mut self, _from: &str, body: &[u8]) -> Result<(), Failure> {
        match self.round {
            1 => self.theirs = blinding::points(body)?,
            _ => self.ours = body.to_vec(),
        }
        Ok(())
    }

    fn next(&mut self, _missing: &[String]) -> Result<Next, Failure> {
        self.round += 1;
        let body = match self.round {
            1 => blinding::ids(IDS)?,
            2 => self.theirs.clone(),
            _ => return self.found(),
        };
        let round = Round {
            broadcast: Some(body),
            ..Round::new()
        };
        Ok(round.gather(self.start.others(), 30).into())
    }
}

impl Comparing {
    fn found(&self) -> Result<Next, Failure> {
        let ours: BTreeSet<_> = self.ours.chunks(blinding::POINT).collect();
        let theirs = self.theirs.chunks(blinding::POINT);
        let common = theirs.filter(|point| ours.contains(point)).count();
        Next::done(&Found {
            common: common as u32,
            sum: inputs::vector(NUMBERS)?.iter().sum(),
        })
    }
}

export_rounds!(Comparing);
