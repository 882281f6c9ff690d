//! Bytes and values as people read them: MessagePack decoded, secrets by their handles, nothing longer than a line.
//!
//! All of it comes from peers and guests. What leaves here has no control characters; a page still has to escape it.

use serde::Serialize;

use super::{Bytes, Piece, Value};
use crate::message::{self, Integer, LONGEST_LINE, one_line};

/// Of a text, in bytes.
const LONGEST_TEXT: usize = 200;
/// Bytes that are shown whole, in hex; of more only the first half of this.
const WHOLE_BYTES: usize = 32;
/// Elements of a list or map inside a message.
const MOST_ELEMENTS: usize = 8;
/// Fields of a message, of which honest ones have at most five.
const MOST_FIELDS: usize = 64;
const PEM: (&str, &str) = ("-----BEGIN PUBLIC KEY-----", "-----END PUBLIC KEY-----");

/// A field of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Field {
    /// Its name; empty for what is no map of fields.
    pub name: String,
    /// What it holds.
    pub value: String,
}

/// The fields of a message.
pub fn fields(bytes: &Bytes) -> Vec<Field> {
    let reader = Reader::of(bytes);
    match message::Value::decode(&bytes.stand_in()) {
        Ok(message::Value::Map(entries)) => {
            let mut fields: Vec<_> = entries
                .iter()
                .take(MOST_FIELDS)
                .map(|(name, value)| Field {
                    name: reader.name(name),
                    value: reader.value(value),
                })
                .collect();
            if entries.len() > MOST_FIELDS {
                fields.push(Field {
                    name: String::new(),
                    value: format!("and {} more", entries.len() - MOST_FIELDS),
                });
            }
            fields
        }
        _ => vec![Field {
            name: String::new(),
            value: reader.bytes(&bytes.stand_in()),
        }],
    }
}

/// The text under `name` in a message, if it has one that is not secret.
pub fn text(bytes: &Bytes, name: &str) -> Option<String> {
    let value = message::Value::decode(&bytes.stand_in()).ok()?;
    let text = value.get(name)?.as_str()?;
    let reader = Reader::of(bytes);
    (!reader.has_secret(text.as_bytes())).then(|| one_line(text, LONGEST_TEXT))
}

/// A name or a reason, in a line.
pub fn line(text: &str) -> String {
    one_line(text, LONGEST_LINE)
}

/// Bytes, in a line.
pub fn bytes(bytes: &Bytes) -> String {
    let reader = Reader::of(bytes);
    let stand_in = bytes.stand_in();
    match message::Value::decode(&stand_in) {
        // Many bytes are MessagePack by chance, few of them a map.
        Ok(map @ message::Value::Map(_)) => reader.value(&map),
        _ => reader.bytes(&stand_in),
    }
}

/// A value of the contract, in a line.
pub fn value(value: &Value) -> String {
    match value {
        Value::None => "nothing".into(),
        Value::Unanswered => "no answer".into(),
        Value::Text(text) => quoted(text),
        Value::Bytes(some) => bytes(some),
        Value::Number(number) => number.to_string(),
        Value::List(values) => listed("[", values.iter().map(self::value), values.len(), "]"),
        Value::Failed { kind, text } => {
            format!(
                "{}: {}",
                one_line(kind, LONGEST_TEXT),
                one_line(text, LONGEST_TEXT)
            )
        }
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", one_line(text, LONGEST_TEXT))
}

fn listed(open: &str, items: impl Iterator<Item = String>, count: usize, close: &str) -> String {
    let mut shown: Vec<_> = items.take(MOST_ELEMENTS).collect();
    if count > MOST_ELEMENTS {
        shown.push(format!("and {} more", count - MOST_ELEMENTS));
    }
    format!("{open}{}{close}", shown.join(", "))
}

fn secret(id: u32, length: usize) -> String {
    format!("secret {id} ({length} bytes)")
}

/// Reads bytes in which some are stand-ins for secrets.
struct Reader {
    /// What stands in for each, the longest first.
    secrets: Vec<(Vec<u8>, u32)>,
}

impl Reader {
    fn of(bytes: &Bytes) -> Self {
        let mut secrets: Vec<_> = bytes
            .pieces()
            .iter()
            .filter_map(|piece| match piece {
                Piece::Secret { id, .. } => Some((piece.stand_in().into_owned(), *id)),
                Piece::Clear(_) => None,
            })
            .collect();
        secrets.sort_by_key(|(stand_in, id)| (std::cmp::Reverse(stand_in.len()), *id));
        secrets.dedup();
        Self { secrets }
    }

    /// The secret that the bytes begin with.
    fn starts(&self, bytes: &[u8]) -> Option<(u32, usize)> {
        let found = self
            .secrets
            .iter()
            .find(|(stand_in, _)| bytes.starts_with(stand_in));
        found.map(|(stand_in, id)| (*id, stand_in.len()))
    }

    fn has_secret(&self, bytes: &[u8]) -> bool {
        (0..bytes.len()).any(|at| self.starts(&bytes[at..]).is_some())
    }

    fn name(&self, name: &message::Value) -> String {
        match name.as_str() {
            Some(text) if !self.has_secret(text.as_bytes()) => one_line(text, LONGEST_TEXT),
            _ => self.value(name),
        }
    }

    fn value(&self, value: &message::Value) -> String {
        use message::Value;
        match value {
            Value::Nil => "nil".into(),
            Value::Bool(truth) => truth.to_string(),
            Value::Int(integer) => self.integer(integer),
            Value::Float(number) => number.to_string(),
            Value::Str(text) if self.has_secret(text.as_bytes()) => self.parts(text.as_bytes()),
            Value::Str(text) => quoted(text),
            Value::Bin(bytes) => self.bytes(bytes),
            Value::List(items) | Value::Tuple(items) | Value::Set(items) => {
                let items_shown = items.iter().map(|item| self.value(item));
                listed("[", items_shown, items.len(), "]")
            }
            Value::Map(entries) => {
                let shown = entries
                    .iter()
                    .map(|(name, value)| format!("{}: {}", self.name(name), self.value(value)));
                listed("{", shown, entries.len(), "}")
            }
        }
    }

    fn integer(&self, integer: &Integer) -> String {
        if let Some(small) = integer.to_i64() {
            return small.to_string();
        }
        let bytes = integer.to_signed_bytes_be();
        if self.has_secret(&bytes) {
            return self.parts(&bytes);
        }
        format!("integer of {} bits: {}", integer.bits(), hexed(&bytes))
    }

    fn bytes(&self, bytes: &[u8]) -> String {
        if bytes.is_empty() {
            return "no bytes".into();
        }
        if self.has_secret(bytes) {
            return self.parts(bytes);
        }
        public_key(bytes).unwrap_or_else(|| hexed(bytes))
    }

    /// Bytes with secrets in them: what is clear in hex, the secrets by their handles.
    fn parts(&self, bytes: &[u8]) -> String {
        let (mut parts, mut clear, mut at) = (Vec::new(), 0, 0);
        while at < bytes.len() {
            let Some((id, length)) = self.starts(&bytes[at..]) else {
                at += 1;
                continue;
            };
            if clear < at {
                parts.push(hexed(&bytes[clear..at]));
            }
            parts.push(secret(id, length));
            at += length;
            clear = at;
        }
        if clear < at {
            parts.push(hexed(&bytes[clear..]));
        }
        listed("", parts.iter().cloned(), parts.len(), "")
    }
}

/// In hex; long ones cut, with their length.
fn hexed(bytes: &[u8]) -> String {
    if bytes.len() <= WHOLE_BYTES {
        return hex::encode(bytes);
    }
    let start = hex::encode(&bytes[..WHOLE_BYTES / 2]);
    format!("{start}… ({} bytes)", bytes.len())
}

/// A public key in PEM, without what is the same in all of them.
fn public_key(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?.trim_end();
    let body = text.strip_prefix(PEM.0)?.strip_suffix(PEM.1)?;
    let base64: String = body.split_whitespace().collect();
    let plain = |c: char| c.is_ascii_alphanumeric() || "+/=".contains(c);
    // The first half of a key says which curve it is for.
    let end = base64.get(base64.len().saturating_sub(24)..)?;
    end.chars()
        .all(plain)
        .then(|| format!("public key …{end} ({} bytes)", bytes.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(entries: Vec<(&str, message::Value)>) -> message::Value {
        message::Value::Map(
            entries
                .into_iter()
                .map(|(name, value)| (name.into(), value))
                .collect(),
        )
    }

    fn shown(value: &message::Value) -> Vec<(String, String)> {
        let fields = fields(&Bytes::from(value.encode()));
        fields
            .into_iter()
            .map(|field| (field.name, field.value))
            .collect()
    }

    #[test]
    fn a_peers_text_becomes_one_harmless_line() {
        let hostile = "a\n\u{1b}[2J\u{202e}b".to_owned() + &"x".repeat(100_000);
        let fields = shown(&map(vec![
            (hostile.as_str(), hostile.as_str().into()),
            (
                "list",
                message::Value::List(vec![hostile.as_str().into(); 9]),
            ),
        ]));

        for (name, value) in fields {
            assert!(!(name + &value).contains(['\n', '\u{1b}', '\u{202e}']));
            assert!(value.len() < 10 * (LONGEST_TEXT + 50), "{value}");
        }
    }

    #[test]
    fn what_is_no_map_is_shown_as_bytes() {
        for bytes in [&b"\xff"[..], b"\xc1\x00", b"\x82\x01"] {
            let fields = fields(&Bytes::from(bytes));
            assert_eq!(fields.len(), 1);
            assert_eq!(fields[0].value, hex::encode(bytes));
        }
        assert_eq!(bytes(&Bytes::default()), "no bytes");
    }

    #[test]
    fn shows_fields_as_what_they_are() {
        let pem = format!(
            "{}\nMFkwEwYHKoZIzj0CAQYIKoZI\nzj0DAQcDQgAE+/==\n{}\n",
            PEM.0, PEM.1
        );
        let share = Integer::from_signed_bytes_be(&[0x11; 40]).expect("an integer");
        let fields = shown(&map(vec![
            ("secagg_id", "key-0".into()),
            ("count", message::Value::Int(7i64.into())),
            ("share", message::Value::Int(share)),
            ("public_key", message::Value::Bin(pem.clone().into_bytes())),
            ("short", message::Value::Bin(vec![1, 2, 0xff])),
            ("long", message::Value::Bin(vec![0xab; 33])),
            ("none", message::Value::Nil),
        ]));

        let expected = [
            ("secagg_id", "\"key-0\"".to_owned()),
            ("count", "7".into()),
            (
                "share",
                format!("integer of 317 bits: {}… (40 bytes)", "11".repeat(16)),
            ),
            (
                "public_key",
                format!("public key …AQYIKoZIzj0DAQcDQgAE+/== ({} bytes)", pem.len()),
            ),
            ("short", "0102ff".into()),
            ("long", format!("{}… (33 bytes)", "ab".repeat(16))),
            ("none", "nil".into()),
        ];
        assert_eq!(
            fields,
            expected.map(|(name, value)| (name.to_owned(), value))
        );
    }

    #[test]
    fn a_secret_is_shown_by_its_handle_wherever_it_stands() {
        let text = "83a46e616d65{3:8}a16bc40a01{4:9}a17801";
        let text = text.replace("{3:8}", "a8{3:8}");
        let bytes: Bytes = text.parse().expect("bytes");

        let fields = fields(&bytes);

        let values: Vec<_> = fields.iter().map(|field| field.value.as_str()).collect();
        assert_eq!(
            values,
            ["secret 3 (8 bytes)", "01, secret 4 (9 bytes)", "1"]
        );
        assert_eq!(super::text(&bytes, "name"), None);
    }

    #[test]
    fn values_of_the_contract_are_one_line_each() {
        let failed = Value::Failed {
            kind: "refused".into(),
            text: "no\nsuch party".into(),
        };
        let all = Value::List(vec![
            Value::None,
            Value::Text("run 1".into()),
            Value::Number(4),
            failed,
        ]);
        assert_eq!(
            value(&all),
            "[nothing, \"run 1\", 4, refused: no\\nsuch party]"
        );
    }
}
