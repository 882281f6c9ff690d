use backchannel_sdk::{Failure, Start};
use serde::{Deserialize, Serialize};

/// The least that `suppress-below` can be: the researcher asks, and is the one that small counts are kept from.
const LEAST_SUPPRESSED: u32 = 5;

/// The researcher's parameters.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Params {
    /// The name of the ids that are compared.
    pub input: String,
    /// A smaller overlap is not told.
    #[serde(default = "ten")]
    pub suppress_below: u32,
    /// Who counts: the first, if nobody else is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leader: Option<String>,
    /// How long each round waits, 1 to 600.
    #[serde(default = "two_minutes")]
    pub seconds: u32,
}

fn ten() -> u32 {
    10
}

/// Blinding takes a tenth of a millisecond a point, so with 100,000 of them a neighbour may need half a minute.
fn two_minutes() -> u32 {
    120
}

impl Params {
    /// Checks them, and says where the leader stands among the parties.
    ///
    /// # Errors
    ///
    /// When one is out of its range, or the leader is no party.
    pub fn leader(&self, start: &Start) -> Result<usize, Failure> {
        if !(1..=600).contains(&self.seconds) {
            return Err(Failure::malformed("`seconds` is 1 to 600"));
        }
        if self.suppress_below < LEAST_SUPPRESSED {
            let why = format!("`suppress-below` is {LEAST_SUPPRESSED} or more");
            return Err(Failure::refused(why));
        }
        let Some(leader) = &self.leader else {
            return Ok(0);
        };
        let at = start.parties.iter().position(|party| party == leader);
        at.ok_or_else(|| Failure::refused(format!("{leader} is no party of the run")))
    }
}
