use backchannel_sdk::{Failure, Start, inputs};
use serde::{Deserialize, Serialize};

use crate::fixed_point::FixedPoint;
use crate::place::Place;
use crate::tolerance::Tolerance;

/// The researcher's parameters, as they come.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Params {
    /// The name of the vector that is summed.
    pub input: String,
    /// Values beyond it, either way, count as it.
    pub clip: f64,
    /// Bits after the point that are kept.
    #[serde(default = "sixteen")]
    pub fraction_bits: u32,
    /// What each party's vector is multiplied with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<Weight>,
    /// Who gathers and unmasks: the first, if nobody else is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leader: Option<String>,
    /// The share of the parties that may vanish.
    #[serde(default = "a_fifth")]
    pub dropouts: f64,
    /// How long a silent party is waited for; the leader, three times as long.
    #[serde(default = "a_minute")]
    pub seconds: u32,
}

/// A weight.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weight {
    /// The name of an input that holds one number, 0 or more.
    pub input: String,
    /// One that is greater counts as this.
    pub clip: f64,
}

/// What the parameters come to, checked.
pub struct Plan {
    /// Who gathers and unmasks.
    pub leader: Place,
    /// How many may vanish.
    pub tolerance: Tolerance,
    /// How numbers become integers.
    pub fixed: FixedPoint,
    /// How long a party is waited for, in seconds.
    pub seconds: u32,
    /// Whether the last value is the sum of the weights.
    pub weighted: bool,
}

fn sixteen() -> u32 {
    16
}

fn a_fifth() -> f64 {
    0.2
}

fn a_minute() -> u32 {
    60
}

impl Params {
    /// Checks what can be checked without the input.
    ///
    /// # Errors
    ///
    /// When a parameter is out of its range, or they do not go together.
    pub fn plan(&self, start: &Start) -> Result<Plan, Failure> {
        // The leader is waited for three times as long, and 600 s is the most that a round waits.
        if !(1..=200).contains(&self.seconds) {
            return Err(Failure::malformed("`seconds` is 1 to 200"));
        }
        let leader = match &self.leader {
            Some(leader) => Place::of(start, leader)?,
            None => Place(0),
        };
        let weight = self.weight.as_ref().map_or(1.0, |weight| weight.clip);
        let parties = start.parties.len();
        Ok(Plan {
            leader,
            tolerance: Tolerance::new(parties, self.dropouts)?,
            fixed: FixedPoint::new(self.clip, self.fraction_bits, weight, parties)?,
            seconds: self.seconds,
            weighted: self.weight.is_some(),
        })
    }

    /// This node's vector as integers: weighted, its weight at the end, if there is one.
    ///
    /// # Errors
    ///
    /// When the host does not give the inputs, or they are not what they should be.
    pub fn values(&self, plan: &Plan) -> Result<Vec<u64>, Failure> {
        let weight = self.weight.as_ref().map(Weight::read).transpose()?;
        let numbers = inputs::vector(&self.input)?;
        if numbers.is_empty() {
            return Err(Failure::refused(format!("{} holds no values", self.input)));
        }
        let factor = weight.unwrap_or(1.0);
        let value = |number: f64| Ok(plan.fixed.encode(plan.fixed.clipped(number)? * factor));
        let values = numbers.into_iter().map(value);
        let weight = weight.map(|weight| Ok(plan.fixed.encode(weight)));
        values.chain(weight).collect()
    }
}

impl Weight {
    fn read(&self) -> Result<f64, Failure> {
        let numbers = inputs::vector(&self.input)?;
        match numbers[..] {
            [weight] if weight >= 0.0 => Ok(weight.min(self.clip)),
            _ => Err(Failure::refused(format!(
                "{} does not hold one number that is 0 or more",
                self.input
            ))),
        }
    }
}
