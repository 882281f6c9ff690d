//! From a file's text to its cases: all that can be wrong in it is found here, with its line.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use toml::Spanned;

use super::CasesError;
use super::case::{Asked, Case, CaseFile, Incoming, Material, Reply, Round, With, Work};
use super::form::Form;
use super::read::{Reader, one_of};
use super::written::{Source, Written};
use crate::handlers::{Assurance, Capability, Envelope, Limit, Message, Setup, assurance_of};
use crate::inputs::Inputs;
use crate::message::{ExperimentId, NodeId, RequestId, ResearcherId, SecaggId};

/// The seed of a file that says none.
const SEED: u64 = 1;
/// Names where a case does not care.
const NODE: &str = "node";
const PEER: &str = "peer";
const RESEARCHER: &str = "researcher";
const EXPERIMENT: &str = "experiment";

const ASSURANCES: [&str; 3] = ["published-key", "channel-key", "identity-key"];

type At<'a> = &'a Spanned<Written>;

impl CaseFile {
    /// Reads the text of the file at `path`.
    pub fn parse(path: &Path, text: String) -> Result<Self, CasesError> {
        let file = path.display().to_string();
        let source = Source {
            file: &file,
            text: &text,
        };
        let root = source.read()?;
        let parser = Parser {
            folder: path.parent().unwrap_or(path),
            given: Reader::given(source),
            expected: Reader::expected(source),
        };
        let read = parser.file(&root)?;
        Ok(Self {
            path: path.to_owned(),
            text,
            ..read
        })
    }
}

struct Parser<'a> {
    folder: &'a Path,
    given: Reader<'a>,
    expected: Reader<'a>,
}

impl Parser<'_> {
    fn file(&self, root: At<'_>) -> Result<CaseFile, CasesError> {
        let read = &self.given;
        let names = ["plugin", "seed", "grants", "case"];
        let [plugin, seed, grants, cases] = read.keys(root, "the file", names)?;
        let plugin = plugin.map(|at| read.text(at, "plugin")).transpose()?;
        let mut seen = BTreeSet::new();
        let mut parsed = Vec::new();
        let listed = cases.map_or(Ok(&[][..]), |at| read.list(at, "case"))?;
        for (number, at) in listed.iter().enumerate() {
            let case = self.case(number, at)?;
            if !seen.insert(case.name.clone()) {
                let why = format!("there are two cases {:?}", case.name);
                return Err(read.wrong(&at.span(), why, "give each case a name of its own"));
            }
            parsed.push(case);
        }
        Ok(CaseFile {
            path: Default::default(),
            text: String::new(),
            plugin: plugin.map(str::to_owned),
            seed: seed.map_or(Ok(SEED), |at| read.number(at, "seed"))?,
            grants: grants.map(|at| self.grants(at)).transpose()?,
            cases: parsed,
        })
    }

    fn grants(&self, at: At<'_>) -> Result<BTreeSet<Capability>, CasesError> {
        let read = &self.given;
        let grant = |at: At<'_>| {
            let name = read.text(at, "a grant")?;
            let found = Capability::ALL.into_iter().find(|one| one.name() == name);
            found.ok_or_else(|| {
                let all = Capability::ALL.map(Capability::name);
                let why = format!("there is no grant {name:?}");
                read.wrong(&at.span(), why, one_of(&all))
            })
        };
        read.list(at, "grants")?.iter().map(grant).collect()
    }

    fn case(&self, number: usize, at: At<'_>) -> Result<Case, CasesError> {
        let read = &self.given;
        let names = [
            "name", "message", "run", "material", "store", "inputs", "limits", "expect", "rounds",
        ];
        let [
            name,
            message,
            run,
            material,
            store,
            inputs,
            limits,
            expect,
            rounds,
        ] = read.keys(at, "a case", names)?;
        let name = read.text(read.required(name, at, "a case", "name")?, "name")?;
        let refuse = |found: Option<At<'_>>, key: &str, of: &str| match found {
            Some(at) => {
                let why = format!("a case of a {of} has no {key}");
                Err(read.wrong(
                    &at.span(),
                    why,
                    "take it away, or make it a case of its own",
                ))
            }
            None => Ok(()),
        };
        let work = match (message, run) {
            (Some(message), None) => {
                refuse(rounds, "rounds", "message")?;
                let expect = expect.map(|at| self.expected.ended(at)).transpose()?;
                Work::Message(self.message(message, expect)?)
            }
            (None, Some(run)) => {
                refuse(expect, "expect", "run, whose rounds have their own,")?;
                refuse(material, "material", "run, which publishes its own,")?;
                Work::Run(self.run(run, rounds)?)
            }
            _ => {
                let why = format!("the case {name:?} has not one of message and run");
                let todo = "write `message = { … }` for a message, or `run = { … }` for a run";
                return Err(read.wrong(&at.span(), why, todo));
            }
        };
        let material = material.map_or(Ok(&[][..]), |at| read.list(at, "material"))?;
        Ok(Case {
            name: name.to_owned(),
            number,
            line: read.source.line(&at.span()),
            limits: limits.map_or(Ok(Vec::new()), |at| self.limits(at))?,
            store: store.map_or(Ok(Vec::new()), |at| self.store(at))?,
            inputs: inputs.map_or(Ok(Inputs::new()), |at| self.given.inputs(at, self.folder))?,
            material: material
                .iter()
                .map(|at| self.material(at))
                .collect::<Result<_, CasesError>>()?,
            work,
        })
    }

    fn limits(&self, at: At<'_>) -> Result<Vec<(Limit, u64)>, CasesError> {
        let read = &self.given;
        let limits = read.table(at, "limits")?.iter().map(|(name, value)| {
            let limit: Limit = name.as_ref().parse().map_err(|error| {
                let all = Limit::ALL.map(Limit::name);
                read.wrong(&name.span(), format!("{error}"), one_of(&all))
            })?;
            let number = read.number(value, limit.name())?;
            if !limit.range().contains(&number) {
                let (least, most) = limit.range().into_inner();
                let why = format!("{limit} can be {least} to {most}, not {number}");
                return Err(read.wrong(&value.span(), why, "choose a value in that range"));
            }
            Ok((limit, number))
        });
        limits.collect()
    }

    fn store(&self, at: At<'_>) -> Result<Vec<(String, Vec<u8>)>, CasesError> {
        let read = &self.given;
        let entries = read.table(at, "store")?.iter();
        entries
            .map(|(key, value)| Ok((key.as_ref().clone(), read.given_body(value)?)))
            .collect()
    }

    fn material(&self, at: At<'_>) -> Result<Material, CasesError> {
        let (read, what) = (&self.given, "material");
        let [run, audience, body, after] =
            read.keys(at, what, ["run", "audience", "body", "after-ms"])?;
        let run = read.text(read.required(run, at, what, "run")?, "run")?;
        let body = read.required(body, at, what, "body")?;
        let after = after.map_or(Ok(0), |at| read.number(at, "after-ms"))?;
        Ok(Material {
            run: run.to_owned(),
            audience: audience.map(|at| read.parsed(at, "audience")).transpose()?,
            body: read.given_body(body)?,
            after: Duration::from_millis(after),
        })
    }

    fn message(&self, at: At<'_>, expect: Option<Form>) -> Result<Incoming, CasesError> {
        let (read, what) = (&self.given, "message");
        let names = [
            "kind",
            "from",
            "to",
            "request",
            "fields",
            "assurance",
            "setup",
            "researcher",
        ];
        let [
            kind,
            from,
            to,
            request,
            fields,
            assurance,
            setup,
            researcher,
        ] = read.keys(at, what, names)?;
        let from: NodeId = self.id(from, "from", PEER)?;
        let researcher: ResearcherId = self.id(researcher, "researcher", RESEARCHER)?;
        let request: Option<RequestId> =
            request.map(|at| read.parsed(at, "request")).transpose()?;
        let envelope = Envelope {
            researcher_id: researcher.into(),
            source: from.to_string(),
            setup: setup.map_or(Ok(false), |at| read.truth(at, "setup"))?,
            assurance: assurance.map_or(Ok(Assurance::ChannelKey), |at| self.assurance(at))?,
        };
        let kind = read.required(kind, at, what, "kind")?;
        Ok(Incoming {
            to: self.id(to, "to", NODE)?,
            from,
            envelope,
            message: Message {
                kind: read.text(kind, "kind")?.to_owned(),
                request_id: request.map(Into::into),
                fields: self.sent(fields)?,
            },
            expect,
        })
    }

    /// Without fields a message has an empty map of them.
    fn sent(&self, fields: Option<At<'_>>) -> Result<Vec<u8>, CasesError> {
        fields.map_or(Ok(vec![0x80]), |at| self.given.sent(at))
    }

    fn assurance(&self, at: At<'_>) -> Result<Assurance, CasesError> {
        let name = self.given.text(at, "assurance")?;
        assurance_of(name).ok_or_else(|| {
            let why = format!("there is no assurance {name:?}");
            self.given.wrong(&at.span(), why, one_of(&ASSURANCES))
        })
    }

    fn id<T: std::str::FromStr<Err: ToString>>(
        &self,
        at: Option<At<'_>>,
        what: &str,
        otherwise: &str,
    ) -> Result<T, CasesError> {
        match at {
            Some(at) => self.given.parsed(at, what),
            None => otherwise
                .parse()
                .map_err(|error: T::Err| self.given.wrong(&(0..0), error.to_string(), "write one")),
        }
    }

    fn run(&self, at: At<'_>, rounds: Option<At<'_>>) -> Result<Asked, CasesError> {
        let (read, what) = (&self.given, "run");
        let names = ["kind", "run", "node", "parties", "researcher", "experiment"];
        let [kind, run, node, parties, researcher, experiment] = read.keys(at, what, names)?;
        let kind = read.required(kind, at, what, "kind")?;
        let name = read.text(kind, "kind")?;
        let known = Setup::KINDS.into_iter().find(|known| *known == name);
        let known = known.ok_or_else(|| {
            let why = format!("no run begins with {name:?}");
            read.wrong(&kind.span(), why, one_of(&Setup::KINDS))
        })?;
        let all = read.required(parties, at, what, "parties")?;
        let parties = read.list(all, "parties")?.iter();
        let parties: Vec<NodeId> = parties
            .map(|at| read.parsed(at, "party"))
            .collect::<Result<_, CasesError>>()?;
        let own: Option<NodeId> = match node {
            Some(at) => Some(read.parsed(at, "node")?),
            None => parties.first().cloned(),
        };
        let distinct: BTreeSet<_> = parties.iter().collect();
        let each_once = parties.len() >= 2 && distinct.len() == parties.len();
        let own = own.filter(|own| each_once && distinct.contains(own));
        let own = own.ok_or_else(|| {
            let why = "a run is among two parties or more, this node one of them, each once";
            read.wrong(&all.span(), why, "write the parties so")
        })?;
        let rounds = rounds.map_or(Ok(&[][..]), |at| read.list(at, "rounds"))?;
        let run: SecaggId = read.parsed(read.required(run, at, what, "run")?, "run")?;
        let experiment: ExperimentId = self.id(experiment, "experiment", EXPERIMENT)?;
        let setup = Setup {
            kind: known,
            researcher: self.id(researcher, "researcher", RESEARCHER)?,
            run,
            experiment,
            own,
            parties,
        };
        let rounds = rounds.iter().map(|at| self.round(at, &setup));
        Ok(Asked {
            rounds: rounds.collect::<Result<_, CasesError>>()?,
            setup,
        })
    }

    fn round(&self, at: At<'_>, setup: &Setup) -> Result<Round, CasesError> {
        let read = &self.given;
        let [expect, asks, answers] = read.keys(at, "a round", ["expect", "asks", "answers"])?;
        let answers = answers.map_or(Ok(&[][..]), |at| read.list(at, "answers"))?;
        Ok(Round {
            expect: expect.map(|at| self.expected.ended(at)).transpose()?,
            asks: asks.map_or(Ok(Form::List(Vec::new())), |at| self.expected.asks(at))?,
            answers: answers
                .iter()
                .map(|at| self.reply(at, setup))
                .collect::<Result<_, CasesError>>()?,
        })
    }

    fn reply(&self, at: At<'_>, setup: &Setup) -> Result<Reply, CasesError> {
        let (read, what) = (&self.given, "an answer");
        let names = ["from", "kind", "fields", "body", "silent", "expect"];
        let [from, kind, fields, body, silent, expect] = read.keys(at, what, names)?;
        let from = read.required(from, at, what, "from")?;
        let peer: NodeId = read.parsed(from, "from")?;
        if peer == setup.own || !setup.parties.contains(&peer) {
            let why = format!("{peer} is not another party of the run");
            return Err(read.wrong(&from.span(), why, "name one of the other parties"));
        }
        let with = match (kind, body, silent) {
            (Some(kind), None, None) => With::Message {
                kind: read.text(kind, "kind")?.to_owned(),
                fields: self.sent(fields)?,
            },
            (None, Some(body), None) if fields.is_none() && expect.is_none() => {
                With::Body(read.given_body(body)?)
            }
            (None, None, Some(silent)) if fields.is_none() && expect.is_none() => {
                read.affirmed(silent, "silent")?;
                With::Nothing
            }
            _ => {
                let why = "an answer is a message, or bytes, or silence";
                let todo = "write kind and fields, or body, or `silent = true`";
                return Err(read.wrong(&at.span(), why, todo));
            }
        };
        Ok(Reply {
            from: peer,
            with,
            expect: expect.map(|at| self.expected.ended(at)).transpose()?,
        })
    }
}
