//! `run`: a researcher has nodes run a plugin's protocol with each other.

mod params;

pub(super) use params::encode;

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use serde_json::Value as Json;

use super::output::{foreign, table, with_progress};
use super::secagg::outcome;
use super::status::{connect, failed};
use super::{Exit, Format, Problem};
use crate::control::LONGEST_MESSAGE;
use crate::proto::control::answer::Outcome;
use crate::proto::control::relay_client::RelayClient;
use crate::proto::control::{PartyResult, RunProtocolRequest};

/// Have nodes run a plugin's protocol with each other, and show their results.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  backchannel run secure-aggregation --relay relay --parties hospital-a,hospital-b,hospital-c --param input=ages"
)]
pub(super) struct Run {
    /// The protocol, as the parties' plugin names it.
    protocol: String,
    /// The relay's data directory.
    #[arg(long, value_name = "DIR")]
    relay: PathBuf,
    /// The parties' ids, separated by commas.
    #[arg(long, value_delimiter = ',', required = true, value_name = "ID,ID…")]
    parties: Vec<String>,
    /// A parameter of the protocol. A value that reads as JSON is that, anything else is text.
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = params::param)]
    params: Vec<(String, Json)>,
    /// The run's id; an id serves once [default: drawn].
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    id: String,
    /// How many parties must finish [default: all]. Parties that are not connected are then left to the protocol.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    quorum: Option<u32>,
    /// How long the results are waited for.
    #[arg(long, value_name = "SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u32).range(1..=3600))]
    wait: u32,
}

/// What came of a run.
#[derive(Debug, Serialize)]
pub(super) struct Ran {
    ok: bool,
    protocol: String,
    run_id: String,
    parties: Vec<Party>,
    elapsed_ms: u64,
}

#[derive(Debug, Serialize)]
struct Party {
    id: String,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Json>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    blames: Vec<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    text: String,
}

impl Run {
    pub(super) async fn run(self, format: Format) -> Result<(), Problem> {
        let order = Order {
            protocol: self.protocol,
            parties: self.parties,
            run_id: self.id,
            params: params::encode(self.params)?,
            quorum: self.quorum,
            wait: self.wait,
        };
        let ran = run(&self.relay, order).await?;
        format.show(&ran);
        ran.verdict()
    }
}

/// What a researcher wants to be run.
pub(super) struct Order {
    pub(super) protocol: String,
    pub(super) parties: Vec<String>,
    /// Drawn when empty.
    pub(super) run_id: String,
    /// One MessagePack map.
    pub(super) params: Vec<u8>,
    /// All, if it is not said.
    pub(super) quorum: Option<u32>,
    /// In seconds.
    pub(super) wait: u32,
}

/// Has a relay's nodes run it.
pub(super) async fn run(relay: &Path, order: Order) -> Result<Ran, Problem> {
    let what = format!("{} was not run", foreign(&order.protocol));
    let mut client = RelayClient::new(connect(relay).await?)
        .max_decoding_message_size(LONGEST_MESSAGE)
        .max_encoding_message_size(LONGEST_MESSAGE);
    let request = RunProtocolRequest {
        protocol: order.protocol.clone(),
        parties: order.parties,
        run_id: order.run_id,
        params: order.params,
        quorum: order.quorum.unwrap_or(0),
        limit_s: order.wait,
    };
    let reply = with_progress("running", client.run_protocol(request)).await;
    let reply = reply.map_err(|status| failed(&what, &status))?.into_inner();
    Ok(Ran {
        ok: reply.ok,
        protocol: order.protocol,
        run_id: reply.run_id,
        parties: reply.parties.into_iter().map(Party::of).collect(),
        elapsed_ms: reply.elapsed_ms,
    })
}

impl Ran {
    /// Whether enough parties finished.
    pub(super) fn is_ok(&self) -> bool {
        self.ok
    }

    /// The results of those who finished, in the researcher's order.
    pub(super) fn results(&self) -> impl Iterator<Item = &Json> {
        self.parties
            .iter()
            .filter_map(|party| party.result.as_ref())
    }

    /// An error, beside the result, unless enough parties finished.
    pub(super) fn verdict(&self) -> Result<(), Problem> {
        if self.ok {
            return Ok(());
        }
        let finished = self.parties.iter().filter(|party| party.result.is_some());
        let why = format!(
            "{} of {} parties finished",
            finished.count(),
            self.parties.len()
        );
        let blamed: BTreeSet<&str> = self
            .parties
            .iter()
            .flat_map(|party| &party.blames)
            .map(String::as_str)
            .collect();
        let todo = if blamed.is_empty() {
            "see what each says above, and `backchannel status` of the relay for who is connected"
                .to_owned()
        } else {
            let names: Vec<_> = blamed.into_iter().collect();
            format!(
                "ask those who were blamed ({}), or run it without them",
                names.join(", ")
            )
        };
        let what = format!(
            "{} among {} parties failed",
            foreign(&self.protocol),
            self.parties.len()
        );
        Err(Problem::new(Exit::Failed, what, why, todo).beside_result())
    }
}

impl Party {
    fn of(party: PartyResult) -> Self {
        let answer = party.answer.unwrap_or_default();
        let mut shown = Self {
            id: foreign(&answer.node_id),
            outcome: outcome(answer.outcome()),
            result: None,
            blames: party.blamed.iter().map(|id| foreign(id)).collect(),
            text: foreign(&answer.text),
        };
        if answer.outcome() == Outcome::Done {
            match params::decode(&party.result) {
                Ok(result) => shown.result = Some(result),
                Err(why) => shown.text = format!("its result cannot be read: {why}"),
            }
        }
        shown
    }
}

impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.elapsed_ms as f64 / 1000.0;
        writeln!(f, "{} of {}, {seconds:.1} s\n", self.run_id, self.protocol)?;
        let rows = self.parties.iter().map(|party| {
            let mut says = match &party.result {
                Some(result) => in_short(result),
                None => party.text.clone(),
            };
            if !party.blames.is_empty() {
                says = format!("{says} (blames {})", party.blames.join(", "));
            }
            vec![party.id.clone(), party.outcome.into(), says]
        });
        write!(f, "{}", table(&["party", "outcome", ""], rows.collect()))
    }
}

/// A result on one line. Long lists are cut: `-o json` has all.
fn in_short(result: &Json) -> String {
    /// Items of a list.
    const SHOWN: usize = 5;
    match result {
        Json::Object(map) => {
            let entries = map
                .iter()
                .map(|(name, value)| format!("{} {}", foreign(name), in_short(value)));
            entries.collect::<Vec<_>>().join(", ")
        }
        Json::Array(items) => {
            let mut shown: Vec<_> = items.iter().take(SHOWN).map(in_short).collect();
            if items.len() > SHOWN {
                shown.push(format!("… {} in all", items.len()));
            }
            format!("[{}]", shown.join(", "))
        }
        Json::String(text) => foreign(text),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::control::Answer;

    fn ran(parties: Vec<PartyResult>, ok: bool) -> Ran {
        Ran {
            ok,
            protocol: "beacon".into(),
            run_id: "run_1".into(),
            parties: parties.into_iter().map(Party::of).collect(),
            elapsed_ms: 1234,
        }
    }

    fn party(
        id: &str,
        outcome: Outcome,
        text: &str,
        result: &[u8],
        blamed: &[&str],
    ) -> PartyResult {
        let answer = Answer {
            node_id: id.into(),
            outcome: outcome.into(),
            text: text.into(),
        };
        PartyResult {
            answer: Some(answer),
            result: result.to_vec(),
            blamed: blamed.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn a_partys_words_cannot_command_the_terminal() {
        let result =
            crate::message::Value::Map(vec![("a\u{1b}[2J".into(), "b\nc".into())]).encode();
        let shown = ran(
            vec![
                party("a", Outcome::Done, "", &result, &[]),
                party("b", Outcome::Failed, "\u{1b}[2J", &[], &["c\u{9b}"]),
            ],
            false,
        );
        let text = shown.to_string();
        assert!(!text.contains(['\u{1b}', '\u{9b}']), "{text}");
        assert_eq!(text.lines().count(), 5, "{text}");
    }

    #[test]
    fn a_result_that_cannot_be_read_is_no_result() {
        let shown = ran(vec![party("a", Outcome::Done, "", &[0xc1], &[])], true);
        assert_eq!(shown.parties[0].result, None);
        assert!(shown.to_string().contains("cannot be read"), "{shown}");
    }

    #[test]
    fn tells_who_is_blamed_when_a_run_failed() {
        let failed = ran(
            vec![party(
                "a",
                Outcome::Failed,
                "b sent another share",
                &[],
                &["b"],
            )],
            false,
        );
        let problem = failed.verdict().unwrap_err();
        assert!(format!("{problem:?}").contains("(b)"), "{problem:?}");
    }

    #[test]
    fn long_lists_are_cut_for_people() {
        let long: Json = (0..1000).collect();
        assert_eq!(in_short(&long), "[0, 1, 2, 3, 4, … 1000 in all]");
    }
}
