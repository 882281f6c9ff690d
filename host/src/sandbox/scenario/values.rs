//! Values of messages and bytes as a scenario writes them: as TOML has them, and where it has no word, `{ hex = "…" }` for bytes
//! and `{ int = "…" }` for a large integer, hexadecimal two's complement.

use crate::message::{Integer, Value};

/// What is expected of the fields of a message.
pub(super) const EXPECTED: &str = "write texts, numbers, lists, tables, { hex = \"…\" } for bytes, { int = \"…\" } for a large integer";
/// What is expected of bytes.
pub(super) const EXPECTED_BYTES: &str = "write a text or { hex = \"…\" }";

/// The fields of a message.
pub(super) fn map(table: &toml::Table) -> Result<Value, String> {
    let entries = table
        .iter()
        .map(|(key, value)| Ok((key.as_str().into(), read(value)?)));
    Ok(Value::Map(entries.collect::<Result<_, String>>()?))
}

/// One value.
pub(super) fn read(value: &toml::Value) -> Result<Value, String> {
    Ok(match value {
        toml::Value::String(text) => text.as_str().into(),
        toml::Value::Integer(number) => Value::Int(integer(&number.to_be_bytes())?),
        toml::Value::Float(number) => Value::Float(*number),
        toml::Value::Boolean(truth) => Value::Bool(*truth),
        toml::Value::Array(items) => Value::List(items.iter().map(read).collect::<Result<_, _>>()?),
        toml::Value::Table(table) => match word(table) {
            Some(("hex", text)) => Value::Bin(unhexed(text)?),
            Some(("int", text)) => Value::Int(integer(&unhexed(text)?)?),
            _ => map(table)?,
        },
        toml::Value::Datetime(moment) => return Err(format!("{moment} is nothing in a message")),
    })
}

/// Bytes.
pub(super) fn bytes(value: &toml::Value) -> Result<Vec<u8>, String> {
    match value {
        toml::Value::String(text) => Ok(text.clone().into_bytes()),
        toml::Value::Table(table) => match word(table) {
            Some(("hex", text)) => unhexed(text),
            _ => Err("this table is no bytes".into()),
        },
        other => Err(format!("{other} is no bytes")),
    }
}

/// Bytes as [`bytes`] reads them.
pub(super) fn written_bytes(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.chars().any(char::is_control) => quoted(text),
        _ => format!("{{ hex = \"{}\" }}", hex::encode(bytes)),
    }
}

/// A value as [`map`] reads it in a field; those that TOML has no form for are left out.
pub(super) fn written(value: &Value) -> Option<String> {
    Some(match value {
        Value::Str(text) => quoted(text),
        Value::Int(integer) => match integer.to_i64() {
            Some(number) => number.to_string(),
            None => format!(
                "{{ int = \"{}\" }}",
                hex::encode(&*integer.to_signed_bytes_be())
            ),
        },
        Value::Float(number) => toml::Value::Float(*number).to_string(),
        Value::Bool(truth) => truth.to_string(),
        Value::Bin(bytes) => format!("{{ hex = \"{}\" }}", hex::encode(bytes)),
        Value::List(items) => {
            let items: Vec<_> = items.iter().filter_map(written).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Map(entries) => {
            let entries = entries.iter().filter_map(|(key, value)| {
                Some(format!("{} = {}", quoted(key.as_str()?), written(value)?))
            });
            format!("{{ {} }}", entries.collect::<Vec<_>>().join(", "))
        }
        Value::Nil | Value::Tuple(_) | Value::Set(_) => return None,
    })
}

/// A text in quotes.
pub(super) fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// The one key of a table and the text under it.
fn word(table: &toml::Table) -> Option<(&str, &str)> {
    let mut entries = table.iter();
    match (entries.next(), entries.next()) {
        (Some((key, value)), None) => Some((key, value.as_str()?)),
        _ => None,
    }
}

fn unhexed(text: &str) -> Result<Vec<u8>, String> {
    hex::decode(text).map_err(|error| format!("{text:?}: {error}"))
}

fn integer(bytes: &[u8]) -> Result<Integer, String> {
    Integer::from_signed_bytes_be(bytes).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> toml::Table {
        text.parse().expect("TOML")
    }

    #[test]
    fn refuses_what_no_message_holds() {
        for text in [
            "a = 2026-01-01",
            "a = { hex = \"0\" }",
            "a = [{ int = \"zz\" }]",
        ] {
            assert!(map(&table(text)).is_err(), "{text}");
        }
        for text in ["a = 5", "a = { text = \"t\" }", "a = { hex = \"f\" }"] {
            assert!(bytes(&table(text)["a"]).is_err(), "{text}");
        }
    }

    #[test]
    fn writes_what_it_reads() {
        let text = r#"a = { "b" = "c", "d" = [1, -2, 0.5, true], "e" = { hex = "00ff" }, "f" = { int = "7fffffffffffffffff" } }"#;
        let read = map(&table(text)).expect("read");
        let written = written(read.get("a").expect("there")).expect("written");

        assert_eq!(format!("a = {written}"), text);
        for bytes in [&b"text"[..], b"", b"\x00\xff"] {
            let text = format!("a = {}", written_bytes(bytes));
            assert_eq!(super::bytes(&table(&text)["a"]).as_deref(), Ok(bytes));
        }
    }
}
