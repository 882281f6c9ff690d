//! Sessions in lines, for people and for comparing. All of it may come from peers, guests or whoever wrote a trace.

use std::fmt;

use super::shown::{self, line};
use super::{Answer, Effect, Ended, HostCall, Value, Work};

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message(incoming) => {
                let (kind, source) = (line(&incoming.kind), line(&incoming.source));
                match &incoming.id {
                    Some(id) => write!(f, "{kind} {} from {source}", line(id)),
                    None => write!(f, "{kind} from {source}"),
                }
            }
            Self::Run(run) => write!(f, "{} {}", line(&run.kind), line(&run.run)),
        }
    }
}

impl fmt::Display for HostCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let given: Vec<_> = self.given.iter().map(ToString::to_string).collect();
        write!(f, "{}({})", line(&self.import), given.join(", "))
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown::value(self))
    }
}

impl Ended {
    /// What it comes to, a line each, for people and for comparing.
    pub fn lines(&self) -> Vec<String> {
        match self {
            Self::Nothing => vec!["nothing to be done".into()],
            Self::Found => vec!["found something".into()],
            Self::Effects { effects, ask } if effects.is_empty() && ask.is_empty() => {
                vec!["no effects".into()]
            }
            Self::Effects { effects, ask } => {
                let effects = effects.iter().map(ToString::to_string);
                let ask = ask.iter().map(|asked| {
                    format!(
                        "ask {} with {} {}",
                        line(&asked.to),
                        line(&asked.kind),
                        shown::bytes(&asked.fields)
                    )
                });
                effects.chain(ask).collect()
            }
            Self::Failed { kind, text } => vec![format!("failure {}: {}", line(kind), line(text))],
            Self::Stopped(why) => vec![format!("stopped: {}", line(why))],
            Self::Cancelled => vec!["cancelled".into()],
        }
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parties = |parties: &[Answer]| -> String {
            let parties = parties.iter();
            let shown: Vec<_> = parties
                .map(|one| format!("{} = {}", line(&one.from), shown::bytes(&one.body)))
                .collect();
            shown.join(", ")
        };
        match self {
            Self::Reply { kind, fields } => {
                write!(f, "reply {} {}", line(kind), shown::bytes(fields))
            }
            Self::Deliver { body } => write!(f, "deliver {}", shown::bytes(body)),
            Self::SetPeerKey { pem } => write!(f, "set-peer-key {}", shown::bytes(pem)),
            Self::Publish {
                run,
                audience,
                body,
            } => {
                let audience = line(audience.as_deref().unwrap_or("all parties"));
                write!(
                    f,
                    "publish for {}, {audience}: {}",
                    line(run),
                    shown::bytes(body)
                )
            }
            Self::EstablishPairSecrets { keys } => {
                write!(f, "establish pair-secrets {}", parties(keys))
            }
            Self::EstablishServerKey { shares } => {
                write!(f, "establish server-key {}", parties(shares))
            }
            Self::Store {
                key,
                value: Some(value),
            } => write!(f, "store {} = {}", line(key), shown::bytes(value)),
            Self::Store { key, value: None } => write!(f, "store {} removed", line(key)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Bytes, Request, RunOf};
    use super::*;

    /// What moves a terminal, begins a line and turns text around.
    const HOSTILE: &str = "\u{1b}[2J\n\u{202e}";

    #[test]
    fn whatever_a_trace_says_is_shown_in_lines_that_move_no_terminal() {
        let text = || HOSTILE.to_owned();
        let (kind, body) = (text, Bytes::default);
        let of_a_party = || {
            vec![Answer {
                from: text(),
                body: body(),
            }]
        };
        let effects = vec![
            Effect::Reply {
                kind: kind(),
                fields: body(),
            },
            Effect::Publish {
                run: text(),
                audience: Some(text()),
                body: body(),
            },
            Effect::EstablishPairSecrets { keys: of_a_party() },
            Effect::EstablishServerKey {
                shares: of_a_party(),
            },
            Effect::Store {
                key: text(),
                value: Some(body()),
            },
            Effect::Store {
                key: text(),
                value: None,
            },
        ];
        let ask = vec![Request {
            to: text(),
            kind: kind(),
            fields: body(),
        }];
        let run = RunOf {
            kind: kind(),
            researcher: text(),
            run: text(),
            experiment: text(),
            parties: vec![],
        };
        let host_call = HostCall {
            import: text(),
            given: vec![Value::Text(text())],
            result: Value::None,
        };
        let mut lines = vec![host_call.to_string(), Work::Run(run).to_string()];
        for ended in [
            Ended::Effects { effects, ask },
            Ended::Failed {
                kind: kind(),
                text: text(),
            },
            Ended::Stopped(text()),
        ] {
            lines.extend(ended.lines());
        }

        assert_eq!(lines.len(), 11);
        for line in lines {
            assert!(line.contains("\\u{1b}[2J\\n\\u{202e}"), "{line:?}");
            assert!(!line.contains(['\u{1b}', '\n', '\u{202e}']), "{line:?}");
        }
    }
}
