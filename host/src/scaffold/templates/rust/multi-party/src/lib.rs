//! Counts the rows that all parties have together, in one round: each tells the others how many it has, and each adds them up.

use backchannel_sdk::{Failure, Next, Part, Round, Start, export_rounds, fields, inputs};
use serde::{Deserialize, Serialize};

/// How long a party waits for the others, in seconds.
const PATIENCE_S: u32 = 30;

/// The researcher's parameters.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    /// The input whose rows are counted, as the operators named it.
    input: String,
}

/// What parties tell each other, and the result.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rows {
    rows: u32,
}

/// This node's part: one value lives for one run.
struct MyHandler {
    start: Start,
    rows: u32,
    told: bool,
}

impl Part for MyHandler {
    /// Takes part, or says why not. Changes nothing.
    fn begin(start: Start) -> Result<Self, Failure> {
        let Params { input } = start.params()?;
        let rows = inputs::vector(&input)?.len();
        Ok(Self {
            rows: u32::try_from(rows).map_err(|_| Failure::refused("the input is too long"))?,
            told: false,
            start,
        })
    }

    /// What one party told. A failure ends the run, and `malformed` blames that party.
    fn accept(&mut self, _from: &str, body: &[u8]) -> Result<(), Failure> {
        let Rows { rows } = fields::decode(body)?;
        let sum = self.rows.checked_add(rows);
        self.rows = sum.ok_or_else(|| Failure::malformed("more rows than there can be"))?;
        Ok(())
    }

    /// What is next: the round in which all tell each other, then the result. All are needed, so nobody is ever `missing`.
    fn next(&mut self, _missing: &[String]) -> Result<Next, Failure> {
        let rows = Rows { rows: self.rows };
        if self.told {
            return Next::done(&rows);
        }
        self.told = true;
        let round = Round::new().tell(&rows)?;
        Ok(round.gather(self.start.others(), PATIENCE_S).into())
    }
}

export_rounds!(MyHandler);

#[cfg(test)]
mod tests {
    use backchannel_sdk::testing::{Ending, Network, Node};

    use super::*;

    /// Hospitals with two rows, one and two.
    fn network() -> Network {
        let input = "patients".into();
        Network::new(["a", "b", "c"])
            .params(&Params { input })
            .node("a", Node::new().with_vector("patients", &[44.0, 71.0]))
            .node("b", Node::new().with_vector("patients", &[63.0]))
            .node("c", Node::new().with_vector("patients", &[58.0, 19.0]))
    }

    #[test]
    fn every_party_finds_the_sum() {
        let played = network().play::<MyHandler>();

        for party in ["a", "b", "c"] {
            assert_eq!(played.result::<Rows>(party), Rows { rows: 5 });
        }
    }

    #[test]
    fn a_party_that_tells_nonsense_is_blamed() {
        let played = network()
            .cheat("c", |_, _, _| Some(b"nonsense".to_vec()))
            .play::<MyHandler>();

        assert_eq!(played.blame("a").0, ["c"]);
        assert_eq!(played.blame("b").0, ["c"]);
    }

    #[test]
    fn without_a_party_there_is_no_result() {
        let played = network().vanish("b", 0).play::<MyHandler>();

        let silent = Ending::Silent(vec!["b".into()]);
        assert_eq!(played.ending("a"), &silent);
        assert_eq!(played.ending("c"), &silent);
    }
}
