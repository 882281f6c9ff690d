//! Counts the rows of all parties: each tells the others how many it has, and each adds them up.
use backchannel_sdk::{Failure, Next, Part, Round, Start, export_rounds, fields, inputs};
use serde::{Deserialize, Serialize};

/// The researcher's parameters.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    input: String,
}

/// What parties tell each other, and the result.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rows {
    rows: u32,
}

struct Tally {
    start: Start,
    told: bool,
    rows: u32,
}

impl Part for Tally {
    fn begin(start: Start) -> Result<Self, Failure> {
        let Params { input } = start.params()?;
        let rows = inputs::vector(&input)?.len() as u32;
        let told = false;
        Ok(Self { start, told, rows })
    }

    fn accept(&mut self, _from: &str, body: &[u8]) -> Result<(), Failure> {
        let Rows { rows } = fields::decode(body)?;
        let sum = self.rows.checked_add(rows);
        self.rows = sum.ok_or_else(|| Failure::malformed("more rows than there can be"))?;
        Ok(())
    }

    fn next(&mut self, _missing: &[String]) -> Result<Next, Failure> {
        let rows = Rows { rows: self.rows };
        if self.told {
            return Next::done(&rows);
        }
        self.told = true;
        let round = Round::new().tell(&rows)?;
        Ok(round.gather(self.start.others(), 30).into())
    }
}

export_rounds!(Tally);

#[cfg(test)]
mod tests {
    use backchannel_sdk::testing::{Network, Node};

    use super::*;

    #[test]
    fn every_party_finds_the_sum() {
        let input = "age".into();
        let played = Network::new(["a", "b", "c"])
            .params(&Params { input })
            .node("a", Node::new().with_vector("age", &[44.0, 71.0]))
            .node("b", Node::new().with_vector("age", &[63.0]))
            .node("c", Node::new().with_vector("age", &[58.0, 19.0]))
            .play::<Tally>();

        for party in ["a", "b", "c"] {
            assert_eq!(played.result::<Rows>(party), Rows { rows: 5 });
        }
    }
}
