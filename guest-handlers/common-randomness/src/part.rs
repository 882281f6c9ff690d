use backchannel_commit_reveal::{Beacon, Digest, Opening, Transcript};
use backchannel_sdk::{Failure, Next, Part, Round, Start, fields};
use serde::{Deserialize, Serialize};

/// The researcher's parameters.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    /// How long each round waits for all, 1 to 600.
    #[serde(default = "a_minute")]
    seconds: u32,
}

fn a_minute() -> u32 {
    60
}

/// What every party hands to every other: one kind a round.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Commit {
    /// A hash of what the researcher asked.
    asked: Digest,
    commitment: Digest,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Echo {
    /// A hash of all commitments.
    commitments: Digest,
}

/// For the researcher.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Drawn {
    /// 32 bytes in hex.
    random: String,
    /// Whose randomness is in it.
    parties: Vec<String>,
}

/// This node's part.
pub struct CommonRandomness {
    start: Start,
    seconds: u32,
    beacon: Beacon,
    stage: Stage,
    /// Who says something else than this node about what all have to have seen alike.
    differing: Vec<String>,
}

/// Which round is under way.
#[derive(Clone, Copy)]
enum Stage {
    Begun,
    Committed,
    Compared,
    Revealed,
}

impl Part for CommonRandomness {
    fn begin(start: Start) -> Result<Self, Failure> {
        let Params { seconds } = start.params()?;
        if !(1..=600).contains(&seconds) {
            return Err(Failure::malformed("`seconds` is 1 to 600"));
        }
        Ok(Self {
            seconds,
            beacon: Beacon::draw(&start)?,
            stage: Stage::Begun,
            differing: Vec::new(),
            start,
        })
    }

    fn accept(&mut self, from: &str, body: &[u8]) -> Result<(), Failure> {
        match self.stage {
            Stage::Begun => {}
            Stage::Committed => {
                let commit: Commit = fields::decode(body)?;
                self.compare(from, commit.asked == self.asked());
                self.beacon.commit(from, commit.commitment);
            }
            Stage::Compared => {
                let echo: Echo = fields::decode(body)?;
                self.compare(from, echo.commitments == self.beacon.commitments());
            }
            Stage::Revealed => {
                let opening: Opening = fields::decode(body)?;
                self.beacon.open(from, &opening)?;
            }
        }
        Ok(())
    }

    fn next(&mut self, missing: &[String]) -> Result<Next, Failure> {
        let round = Round::new().gather(self.start.others(), self.seconds);
        match self.stage {
            Stage::Begun => {
                self.stage = Stage::Committed;
                let commit = Commit {
                    asked: self.asked(),
                    commitment: self.beacon.commitment(),
                };
                Ok(round.tell(&commit)?.into())
            }
            Stage::Committed if !self.differing.is_empty() => {
                Ok(self.given_up("was asked for another run by the researcher, or says so"))
            }
            Stage::Committed => {
                self.stage = Stage::Compared;
                let commitments = self.beacon.commitments();
                Ok(round.tell(&Echo { commitments })?.into())
            }
            Stage::Compared if !self.differing.is_empty() => {
                Ok(self.given_up("was given other commitments by some party, or says so"))
            }
            Stage::Compared => {
                self.stage = Stage::Revealed;
                // No quorum: who does not reveal is to blame, and not merely silent.
                Ok(round.tell(self.beacon.opening())?.quorum(0).into())
            }
            Stage::Revealed if !missing.is_empty() => {
                let why = "committed and did not reveal";
                Ok(Next::abort(missing.iter().cloned(), why))
            }
            Stage::Revealed => Next::done(&Drawn {
                random: hex(&self.beacon.randomness()),
                parties: self.start.parties.clone(),
            }),
        }
    }
}

impl CommonRandomness {
    fn asked(&self) -> Digest {
        Transcript::of(&self.start, "asked").digest()
    }

    fn compare(&mut self, from: &str, alike: bool) {
        if !alike {
            self.differing.push(from.to_owned());
        }
    }

    /// Nobody is blamed: who lies, the one that differs or a third, cannot be told.
    fn given_up(&self, why: &str) -> Next {
        let differing = self.differing.join(", ");
        Next::abort([""; 0], format!("{differing} {why}"))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
