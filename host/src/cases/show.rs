//! Forms as text: the words of the case file, for people to read and for the file itself.

use sha2::{Digest, Sha256};
use similar::{ChangeTag, TextDiff};

use super::form::Form;
use super::integer;
use crate::message::Value;

/// Lines around a difference that are shown with it.
const AROUND: usize = 3;
/// A longer list has a line for each of its items in a file, in bytes.
const WIDTH: usize = 100;
/// A longer value is cut where people read it, in characters.
const LONGEST: usize = 240;

/// The lines of a difference: those expected begin with `-`, those that came with `+`, those of both with a space.
pub(super) fn difference(expected: Option<&Form>, got: &Form) -> Vec<String> {
    let expected = expected.map_or_else(Vec::new, lines);
    let got = lines(got);
    let (expected, got): (Vec<_>, Vec<_>) = (texts(&expected), texts(&got));
    let diff = TextDiff::from_slices(&expected, &got);
    let mut shown = Vec::new();
    for (at, group) in diff.grouped_ops(AROUND).iter().enumerate() {
        if at > 0 {
            shown.push("  …".to_owned());
        }
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let sign = match change.tag() {
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
                ChangeTag::Equal => ' ',
            };
            shown.push(format!("{sign} {}", change.value()));
        }
    }
    shown
}

fn texts(lines: &[String]) -> Vec<&str> {
    lines.iter().map(String::as_str).collect()
}

/// A form, one line for each of its leaves. Effects and requests follow each other without numbers: each says what it is.
fn lines(form: &Form) -> Vec<String> {
    let mut found = Vec::new();
    match form {
        Form::List(items) if items.is_empty() => found.push("none".to_owned()),
        Form::List(items) => items.iter().for_each(|item| leaves("", item, &mut found)),
        _ => leaves("", form, &mut found),
    }
    found
}

fn leaves(path: &str, form: &Form, found: &mut Vec<String>) {
    let below = |key: &str| match path {
        "" => bare(key),
        path => format!("{path}.{}", bare(key)),
    };
    match form {
        Form::Table(entries) if !entries.is_empty() => {
            for (key, value) in entries.iter().filter(|(_, value)| !is_empty(value)) {
                leaves(&below(key), value, found);
            }
        }
        Form::Fields(entries) if !entries.is_empty() => {
            for (key, value) in entries {
                leaves(&format!("{}.{}", below("fields"), bare(key)), value, found);
            }
        }
        Form::Body(bytes) => match Form::fields_in(bytes) {
            Some(entries) => leaves(path, &Form::Fields(entries), found),
            None => found.push(format!("{path} = {}", cut(text(form)))),
        },
        Form::List(items) if !items.is_empty() => {
            for (at, item) in items.iter().enumerate() {
                leaves(&format!("{path}[{at}]"), item, found);
            }
        }
        _ => found.push(format!("{path} = {}", cut(text(form)))),
    }
}

/// What is expected of a text where nothing is said of it.
pub(super) fn is_empty(form: &Form) -> bool {
    match form {
        Form::Part(part) => part.is_empty(),
        Form::Kept(form) => is_empty(form),
        _ => false,
    }
}

/// A form as TOML, on a line; a long list has a line for each of its items.
pub(super) fn block(form: &Form) -> String {
    let line = text(form);
    match form {
        Form::List(items) if line.len() > WIDTH => {
            let items: Vec<_> = items
                .iter()
                .map(|item| format!("  {},\n", text(item)))
                .collect();
            format!("[\n{}]", items.concat())
        }
        _ => line,
    }
}

/// A form as TOML, on one line.
pub(super) fn text(form: &Form) -> String {
    match form {
        Form::Leaf(value) => of_leaf(value),
        Form::List(items) => {
            let items: Vec<_> = items.iter().map(text).collect();
            format!("[{}]", items.join(", "))
        }
        Form::Table(entries) => of_table(entries),
        Form::Fields(entries) => format!("{{ fields = {} }}", of_table(entries)),
        Form::Body(bytes) => match Form::fields_in(bytes) {
            Some(entries) => text(&Form::Fields(entries)),
            None => readable(bytes).map_or_else(|| in_hex(bytes), quoted),
        },
        Form::Any => "{ any = true }".to_owned(),
        Form::Length(length) => format!("{{ length = {length} }}"),
        Form::Same(name) => format!("{{ same = {} }}", quoted(name)),
        Form::Part(part) => quoted(part),
        Form::Kept(form) => text(form),
    }
}

fn of_table(entries: &[(String, Form)]) -> String {
    let entries = entries.iter().filter(|(_, value)| !is_empty(value));
    let entries: Vec<_> = entries
        .map(|(key, value)| format!("{} = {}", bare(key), text(value)))
        .collect();
    match entries.as_slice() {
        [] => "{}".to_owned(),
        entries => format!("{{ {} }}", entries.join(", ")),
    }
}

fn of_leaf(value: &Value) -> String {
    match value {
        Value::Nil => "{ nil = true }".to_owned(),
        Value::Bool(truth) => truth.to_string(),
        Value::Int(integer) => match integer.to_i64() {
            Some(small) => small.to_string(),
            None => format!("{{ int = \"{}\" }}", integer::text(integer)),
        },
        Value::Float(number) if number.is_nan() => in_words("raw", value),
        Value::Float(number) => format!("{number:?}"),
        Value::Str(text) => quoted(text),
        Value::Bin(bytes) => match readable(bytes) {
            Some(text) => format!("{{ text = {} }}", quoted(text)),
            None => in_hex(bytes),
        },
        Value::List(_) | Value::Map(_) | Value::Tuple(_) | Value::Set(_) => in_words("raw", value),
    }
}

fn in_words(word: &str, value: &Value) -> String {
    format!("{{ {word} = \"{}\" }}", hex::encode(value.encode()))
}

fn in_hex(bytes: &[u8]) -> String {
    format!("{{ hex = \"{}\" }}", hex::encode(bytes))
}

/// Bytes that are a text of letters, spaces and line ends.
fn readable(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    let odd = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    (!text.contains(odd)).then_some(text)
}

/// A key of TOML.
pub(super) fn bare(key: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if !key.is_empty() && key.chars().all(is_bare) {
        key.to_owned()
    } else {
        quoted(key)
    }
}

/// A text in quotes, as TOML has it. Whatever could move a terminal or change the order of what is shown is escaped.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            // Printed as it is by Rust's own rule for what can be.
            c if c.escape_debug().len() == 1 || c == '\'' => quoted.push(c),
            c => quoted.push_str(&format!("\\U{:08x}", u32::from(c))),
        }
    }
    quoted.push('"');
    quoted
}

/// A value's text as far as people read it. What is left out is told apart by its size and hash.
fn cut(text: String) -> String {
    let Some((end, _)) = text.char_indices().nth(LONGEST) else {
        return text;
    };
    let hash = hex::encode(&Sha256::digest(&text)[..6]);
    format!(
        "{}… ({} characters, hash {hash})",
        &text[..end],
        text.chars().count()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Integer;

    #[test]
    fn no_text_moves_the_terminal_or_breaks_a_line() {
        let text = "a\u{1b}[2J\n\u{202e}b\u{9b}1m\"\\\u{2028}\r";

        let shown = quoted(text);

        assert_eq!(
            shown,
            "\"a\\U0000001b[2J\\n\\U0000202eb\\U0000009b1m\\\"\\\\\\U00002028\\r\""
        );
        let read: toml::Table = toml::from_str(&format!("a = {shown}")).expect("TOML");
        assert_eq!(read["a"].as_str(), Some(text));
    }

    #[test]
    fn a_difference_shows_the_lines_of_both() {
        let reply = |key: &[u8], more: Option<(String, Form)>| {
            let mut fields = vec![
                ("run".to_owned(), Form::text("r")),
                ("key".to_owned(), Form::Leaf(Value::Bin(key.to_vec()))),
            ];
            fields.extend(more);
            let reply = vec![("fields".to_owned(), Form::Table(fields))];
            Form::List(vec![Form::one("reply", Form::Table(reply))])
        };
        let large = Integer::from_signed_bytes_be(&[1; 9]).expect("short");
        let more = ("n".to_owned(), Form::Leaf(large.into()));

        let lines = difference(Some(&reply(b"PEM", None)), &reply(&[0xff], Some(more)));

        assert_eq!(
            lines,
            [
                "  reply.fields.run = \"r\"",
                "- reply.fields.key = { text = \"PEM\" }",
                "+ reply.fields.key = { hex = \"ff\" }",
                "+ reply.fields.n = { int = \"0x10101010101010101\" }",
            ]
        );
        let nothing = Form::one("nothing", Form::Leaf(true.into()));
        let none = difference(Some(&Form::List(vec![])), &nothing);
        assert_eq!(none, ["- none", "+ nothing = true"]);
    }

    #[test]
    fn two_long_values_that_begin_alike_are_told_apart() {
        let long = |end: u8| Form::Body([vec![7; 1000], vec![end]].concat());

        let lines = difference(Some(&long(1)), &long(2));

        assert_eq!(lines.len(), 2);
        assert!(lines.iter().all(|line| line.len() < 400), "{lines:?}");
        assert_ne!(lines[0][1..], lines[1][1..]);
    }
}
