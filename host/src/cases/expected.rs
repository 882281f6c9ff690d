//! What a case expects of a call: effects in their order, or an end without any.

use toml::Spanned;

use super::CasesError;
use super::form::Form;
use super::read::{Reader, one_of};
use super::written::Written;

const EFFECTS: [&str; 6] = [
    "reply",
    "deliver",
    "set-peer-key",
    "publish",
    "establish",
    "store",
];
const RESULTS: [&str; 2] = ["pair-secrets", "server-key"];
const ENDS: [&str; 3] = ["failure", "stopped", "nothing"];
const FAILURES: [&str; 3] = ["malformed", "unavailable", "refused"];

impl Reader<'_> {
    /// `[effects]`, `{ failure = … }`, `{ stopped = "…" }` or `{ nothing = true }`.
    pub(super) fn ended(&self, at: &Spanned<Written>) -> Result<Form, CasesError> {
        if let Written::List(effects) = at.as_ref() {
            let effects = effects.iter().map(|effect| self.effect(effect));
            return Ok(Form::List(effects.collect::<Result<_, CasesError>>()?));
        }
        if !matches!(at.as_ref(), Written::Table(_)) {
            let why = format!("expect is {}", at.as_ref().kind());
            let todo = "write a list of effects, or a table with failure, stopped or nothing";
            return Err(self.wrong(&at.span(), why, todo));
        }
        let (end, value) = self.choice(at, "expect", &ENDS)?;
        Ok(match end {
            "failure" => Form::one(end, self.failure(value)?),
            "stopped" => Form::one(end, Form::Part(self.text(value, end)?.to_owned())),
            _ => {
                self.affirmed(value, end)?;
                Form::one(end, Form::Leaf(true.into()))
            }
        })
    }

    /// The requests of a round.
    pub(super) fn asks(&self, at: &Spanned<Written>) -> Result<Form, CasesError> {
        let asks = self.list(at, "asks")?.iter().map(|ask| {
            let [to, kind, fields] = self.keys(ask, "a request", ["to", "kind", "fields"])?;
            let to = self.required(to, ask, "a request", "to")?;
            let to = ("to".to_owned(), Form::text(self.text(to, "to")?));
            let outgoing = self.outgoing(ask, "a request", kind, fields)?;
            Ok(Form::Table([to].into_iter().chain(outgoing).collect()))
        });
        Ok(Form::List(asks.collect::<Result<_, CasesError>>()?))
    }

    fn effect(&self, at: &Spanned<Written>) -> Result<Form, CasesError> {
        let (effect, value) = self.choice(at, "an effect", &EFFECTS)?;
        let what = match effect {
            "reply" => {
                let [kind, fields] = self.keys(value, effect, ["kind", "fields"])?;
                Form::Table(self.outgoing(value, effect, kind, fields)?)
            }
            "publish" => {
                let [audience, body] = self.keys(value, effect, ["audience", "body"])?;
                let body = self.required(body, value, effect, "body")?;
                let mut entries = Vec::new();
                if let Some(audience) = audience {
                    let audience = Form::text(self.text(audience, "audience")?);
                    entries.push(("audience".to_owned(), audience));
                }
                entries.push(("body".to_owned(), self.body(body)?));
                Form::Table(entries)
            }
            "establish" => {
                let (result, parties) = self.choice(value, effect, &RESULTS)?;
                let parties = self.table(parties, result)?.iter();
                let parties =
                    parties.map(|(party, body)| Ok((party.as_ref().clone(), self.body(body)?)));
                Form::one(
                    result,
                    Form::Table(parties.collect::<Result<_, CasesError>>()?),
                )
            }
            "store" => {
                let [key, value_of] = self.keys(value, effect, ["key", "value"])?;
                let key = self.required(key, value, effect, "key")?;
                let mut entries = vec![("key".to_owned(), self.stored_key(key)?)];
                if let Some(value) = value_of {
                    entries.push(("value".to_owned(), self.body(value)?));
                }
                Form::Table(entries)
            }
            _ => self.body(value)?,
        };
        Ok(Form::one(effect, what))
    }

    /// A key that is stored under; it can be left open, as it may hold what nobody knows.
    fn stored_key(&self, at: &Spanned<Written>) -> Result<Form, CasesError> {
        match at.as_ref() {
            Written::Table(_) => self.value(at),
            _ => Ok(Form::text(self.text(at, "key")?)),
        }
    }

    fn outgoing(
        &self,
        table: &Spanned<Written>,
        what: &str,
        kind: Option<&Spanned<Written>>,
        fields: Option<&Spanned<Written>>,
    ) -> Result<Vec<(String, Form)>, CasesError> {
        let kind = self.required(kind, table, what, "kind")?;
        let kind = Form::text(self.text(kind, "kind")?);
        let fields = match fields {
            Some(fields) => self.fields(fields)?,
            None => Form::Table(Vec::new()),
        };
        Ok(vec![
            ("kind".to_owned(), kind),
            ("fields".to_owned(), fields),
        ])
    }

    fn failure(&self, at: &Spanned<Written>) -> Result<Form, CasesError> {
        let [kind, text] = self.keys(at, "failure", ["kind", "text"])?;
        let kind = self.required(kind, at, "failure", "kind")?;
        let name = self.text(kind, "kind")?;
        if !FAILURES.contains(&name) {
            let why = format!("there is no failure {name:?}");
            return Err(self.wrong(&kind.span(), why, one_of(&FAILURES)));
        }
        // Nothing said of the text is in every text.
        let part = text.map_or(Ok(""), |text| self.text(text, "text"))?;
        let text = ("text".to_owned(), Form::Part(part.to_owned()));
        Ok(Form::Table(vec![
            ("kind".to_owned(), Form::text(name)),
            text,
        ]))
    }
}
