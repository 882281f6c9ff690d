//! A run's parameters and results: JSON for people, one MessagePack map for plugins.

use serde_json::{Map, Number, Value as Json};

use crate::cli::{Exit, Problem};
use crate::message::{Integer, Value};

/// `NAME=VALUE`, as given on the command line. What reads as JSON is that, such as `3`, `0.5`, `true`, `[1,2]`; anything else is text.
pub(super) fn param(text: &str) -> Result<(String, Json), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => {
            let value = serde_json::from_str(value).unwrap_or_else(|_| value.into());
            Ok((name.to_owned(), value))
        }
        _ => Err("write NAME=VALUE".to_owned()),
    }
}

/// The map that plugins get. A name that comes twice is a mistake.
pub(in crate::cli) fn encode(params: Vec<(String, Json)>) -> Result<Vec<u8>, Problem> {
    let mut map = Map::new();
    for (name, value) in params {
        if map.insert(name.clone(), value).is_some() {
            return Err(Problem::new(
                Exit::Input,
                "the parameters cannot be used",
                format!("{name} is given twice"),
                "give each parameter once",
            ));
        }
    }
    Ok(packed(Json::Object(map)).encode())
}

/// A result as JSON. Bytes are shown in hex, integers beyond JSON's in decimal, and text as it is.
pub(super) fn decode(result: &[u8]) -> Result<Json, String> {
    match Value::decode(result) {
        Ok(map @ Value::Map(_)) => Ok(shown(&map)),
        Ok(other) => Err(format!("{} where a map was expected", other.kind())),
        Err(error) => Err(error.to_string()),
    }
}

fn packed(json: Json) -> Value {
    match json {
        Json::Null => Value::Nil,
        Json::Bool(truth) => Value::Bool(truth),
        Json::Number(number) => of_number(&number),
        Json::String(text) => Value::Str(text),
        Json::Array(items) => Value::List(items.into_iter().map(packed).collect()),
        Json::Object(map) => {
            let entries = map.into_iter();
            Value::Map(
                entries
                    .map(|(key, value)| (Value::Str(key), packed(value)))
                    .collect(),
            )
        }
    }
}

fn of_number(number: &Number) -> Value {
    if let Some(integer) = number.as_i64() {
        Value::Int(integer.into())
    } else if let Some(integer) = number.as_u64() {
        Value::Int(integer.into())
    } else {
        Value::Float(number.as_f64().unwrap_or(f64::NAN))
    }
}

fn shown(value: &Value) -> Json {
    match value {
        Value::Nil => Json::Null,
        Value::Bool(truth) => Json::Bool(*truth),
        Value::Int(integer) => of_integer(integer),
        Value::Float(number) => {
            Number::from_f64(*number).map_or_else(|| number.to_string().into(), Json::Number)
        }
        Value::Str(text) => Json::String(text.clone()),
        Value::Bin(bytes) => Json::String(hex::encode(bytes)),
        Value::List(items) | Value::Tuple(items) | Value::Set(items) => {
            items.iter().map(shown).collect()
        }
        Value::Map(entries) => {
            let name = |key: &Value| {
                key.as_str()
                    .map_or_else(|| shown(key).to_string(), str::to_owned)
            };
            Json::Object(
                entries
                    .iter()
                    .map(|(key, value)| (name(key), shown(value)))
                    .collect(),
            )
        }
    }
}

fn of_integer(integer: &Integer) -> Json {
    if let Some(integer) = integer.to_i64() {
        integer.into()
    } else if let Some(integer) = integer.to_u64() {
        integer.into()
    } else {
        Json::String(format!(
            "0x{}",
            hex::encode(integer.to_signed_bytes_be().as_slice())
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(texts: &[&str]) -> Result<Vec<u8>, Problem> {
        encode(
            texts
                .iter()
                .map(|text| param(text).expect("a parameter"))
                .collect(),
        )
    }

    #[test]
    fn refuses_what_is_no_parameter_and_one_that_comes_twice() {
        assert!(param("input").is_err());
        assert!(param("=3").is_err());
        assert!(params(&["a=1", "a=2"]).is_err());
    }

    #[test]
    fn what_reads_as_json_is_that_and_anything_else_is_text() {
        let map = params(&[
            "n=3",
            "share=0.5",
            "input=ages",
            "on=true",
            "of=[1,2]",
            "name=\"3\"",
        ]);
        let map = Value::decode(&map.expect("parameters")).expect("MessagePack");
        assert_eq!(map.get("n"), Some(&Value::Int(3_i64.into())));
        assert_eq!(map.get("share"), Some(&Value::Float(0.5)));
        assert_eq!(map.get("input").and_then(Value::as_str), Some("ages"));
        assert_eq!(map.get("on").and_then(Value::as_bool), Some(true));
        assert_eq!(
            map.get("of").and_then(Value::as_list).map(<[_]>::len),
            Some(2)
        );
        assert_eq!(map.get("name").and_then(Value::as_str), Some("3"));
    }

    #[test]
    fn without_parameters_the_map_is_empty() {
        assert_eq!(params(&[]).expect("a map"), [0x80]);
    }

    #[test]
    fn a_result_that_is_no_map_is_refused_in_words() {
        assert!(
            decode(&Value::Bool(true).encode())
                .unwrap_err()
                .contains("map")
        );
        assert!(decode(&[0xc1]).is_err());
    }

    #[test]
    fn a_result_is_shown_as_json() {
        let result = Value::Map(vec![
            (
                Value::Str("sum".into()),
                Value::List(vec![Value::Float(1.5), Value::Float(f64::NAN)]),
            ),
            (Value::Str("random".into()), Value::Bin(vec![0, 255])),
            (Value::Str("n".into()), Value::Int(u64::MAX.into())),
        ]);
        let shown = decode(&result.encode()).expect("a map");
        assert_eq!(
            shown,
            serde_json::json!({"sum": [1.5, "NaN"], "random": "00ff", "n": u64::MAX})
        );
    }
}
