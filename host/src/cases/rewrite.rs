//! Golden updates: what came in the place of what was expected, in a file that stays as it is otherwise.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use toml_edit::{Array, ArrayOfTables, DocumentMut, InlineTable, Item, Table, TableLike, Value};

use super::CasesError;
use super::case::{CaseFile, Place};
use super::check::Outcome;
use super::form::{Form, WORDS};
use super::show;
use crate::files::write_whole;

/// A file of cases that expects what came.
pub struct Rewrite {
    /// The file as it will be.
    pub file: CaseFile,
    /// What it expects otherwise now: the names of cases, with the place in each.
    pub changed: Vec<(String, Place)>,
    before: String,
}

impl CaseFile {
    /// The file with what came in `outcomes` in the place of what did not; `None` when nothing would change.
    ///
    /// Expectations that came stay as they are written, as do the open parts of others; so do comments and order.
    pub fn rewritten(&self, outcomes: &[Outcome]) -> Result<Option<Rewrite>, CasesError> {
        let Ok(mut document) = self.text.parse::<DocumentMut>() else {
            // It was read before.
            return Ok(None);
        };
        let mut changed = Vec::new();
        for (case, outcome) in self.cases.iter().zip(outcomes) {
            let Some(item) = document
                .get_mut("case")
                .and_then(|cases| cases.get_mut(outcome.number))
            else {
                continue;
            };
            for check in &outcome.checks {
                if let Some(form) = &check.instead
                    && put(item, check.place, form).is_some()
                {
                    changed.push((case.name.clone(), check.place));
                }
            }
        }
        if changed.is_empty() {
            return Ok(None);
        }
        let numbers: Vec<_> = self.cases.iter().map(|case| case.number).collect();
        let mut file = Self::parse(&self.path, document.to_string())?;
        file.only(|case| numbers.contains(&case.number));
        Ok(Some(Rewrite {
            file,
            changed,
            before: self.text.clone(),
        }))
    }
}

impl Rewrite {
    /// Writes the file: whole, or not at all.
    pub fn save(&self) -> Result<(), CasesError> {
        let path = &self.file.path;
        let failed = |source| CasesError::Io {
            path: path.clone(),
            source,
        };
        if fs::read_to_string(path).map_err(failed)? != self.before {
            return Err(CasesError::Changed(path.clone()));
        }
        let mode = fs::metadata(path).map_err(failed)?.permissions().mode();
        write_whole(path, self.file.text.as_bytes(), mode & 0o777).map_err(failed)
    }
}

/// Puts what is expected at a place of a case; `None` if there is no such place.
fn put(case: &mut Item, place: Place, form: &Form) -> Option<()> {
    let (table, key) = match place {
        Place::Message => (case, "expect"),
        Place::Round(n) => (round(case, n)?, "expect"),
        Place::Asks(n) => (round(case, n)?, "asks"),
        Place::Answer(n, answer) => {
            let answers = round(case, n)?.get_mut("answers")?;
            (answers.get_mut(answer)?, "expect")
        }
    };
    match table {
        Item::Value(Value::InlineTable(table)) => {
            in_braces(table, |table| put_in(table, key, form));
        }
        _ => put_in(table.as_table_like_mut()?, key, form),
    }
    Some(())
}

/// A round of a run, made where it is the next one.
fn round(case: &mut Item, n: usize) -> Option<&mut Item> {
    let in_lines = case.is_table();
    let table = case.as_table_like_mut()?;
    let new = if in_lines {
        Item::ArrayOfTables(ArrayOfTables::new())
    } else {
        Item::Value(Array::new().into())
    };
    let rounds = table.entry("rounds").or_insert(new);
    if rounds.get(n).is_none() {
        match rounds {
            Item::ArrayOfTables(rounds) => rounds.push(Table::new()),
            Item::Value(Value::Array(rounds)) => rounds.push(InlineTable::new()),
            _ => return None,
        }
    }
    rounds.get_mut(n)
}

fn put_in(table: &mut dyn TableLike, key: &str, form: &Form) {
    match table.get_mut(key) {
        Some(old) => put_item(old, form),
        None => {
            table.insert(key, Item::Value(value(form)));
        }
    }
}

/// Puts `form` in the place of what is written, as little of that as needed.
fn put_item(old: &mut Item, form: &Form) {
    match (old, form) {
        (_, Form::Kept(_)) => {}
        (Item::ArrayOfTables(tables), Form::List(items)) if !items.is_empty() => {
            for (at, item) in items.iter().enumerate() {
                match tables.get_mut(at) {
                    Some(table) => put_table(table, item),
                    None => {
                        let mut table = Table::new();
                        put_table(&mut table, item);
                        tables.push(table);
                    }
                }
            }
            while tables.len() > items.len() {
                tables.remove(items.len());
            }
        }
        (Item::Table(table), Form::Table(_)) => put_table(table, form),
        (Item::Value(old), form) => put_value(old, form),
        (old, form) => *old = Item::Value(value(form)),
    }
}

fn put_value(old: &mut Value, form: &Form) {
    match (old, form) {
        (_, Form::Kept(_)) => {}
        (Value::Array(array), Form::List(items)) => put_array(array, items),
        (Value::InlineTable(table), Form::Table(entries)) if !is_word(table, entries) => {
            in_braces(table, |table| put_table(table, form));
        }
        (Value::InlineTable(table), Form::Fields(entries)) if table.contains_key("fields") => {
            if let Some(fields) = table.get_mut("fields") {
                put_value(fields, &Form::Table(entries.clone()));
            }
        }
        (old, form) => {
            let decor = old.decor().clone();
            *old = value(form);
            *old.decor_mut() = decor;
        }
    }
}

/// Whether what is written is a word, such as `{ raw = … }`, and no table with the same key.
fn is_word(table: &InlineTable, entries: &[(String, Form)]) -> bool {
    let word = |key: &str| WORDS.contains(&key) && !entries.iter().any(|(other, _)| other == key);
    table.len() == 1 && table.iter().any(|(key, _)| word(key))
}

fn put_table(table: &mut dyn TableLike, form: &Form) {
    let Form::Table(entries) = form else {
        return;
    };
    let gone = table.iter().map(|(key, _)| key.to_owned());
    let gone = gone.filter(|key| !entries.iter().any(|(other, _)| other == key));
    for key in gone.collect::<Vec<_>>() {
        table.remove(&key);
    }
    for (key, form) in entries.iter().filter(|(_, form)| !show::is_empty(form)) {
        put_in(table, key, form);
    }
}

/// Changes a table; what stands before its closing brace, a space as a rule, stays there.
fn in_braces(table: &mut InlineTable, change: impl FnOnce(&mut InlineTable)) {
    let last = |table: &InlineTable| {
        let (key, value) = table.iter().last()?;
        Some((key.to_owned(), value.decor().suffix().cloned()))
    };
    let before = last(table);
    change(table);
    let (Some((key, end)), Some((now, _))) = (before, last(table)) else {
        return;
    };
    if key == now {
        return;
    }
    let mut values: Vec<_> = table.iter_mut().map(|(_, value)| value).collect();
    if let Some(new) = values.pop() {
        new.decor_mut().set_suffix(end.unwrap_or_default());
    }
    for value in values {
        let suffix = value.decor().suffix().and_then(|suffix| suffix.as_str());
        if suffix.is_some_and(|suffix| suffix.trim().is_empty()) {
            value.decor_mut().set_suffix("");
        }
    }
}

fn put_array(array: &mut Array, items: &[Form]) {
    while array.len() > items.len() {
        array.remove(items.len());
    }
    for (at, item) in items.iter().enumerate() {
        match array.get_mut(at) {
            Some(old) => put_value(old, item),
            None => {
                // Where the others stand in lines of their own, so does this one.
                let before = array
                    .iter()
                    .last()
                    .and_then(|last| last.decor().prefix().cloned());
                array.push(value(item));
                if let (Some(prefix), Some(new)) = (before, array.get_mut(at)) {
                    new.decor_mut().set_prefix(prefix);
                }
            }
        }
    }
}

/// A form as a value of TOML.
fn value(form: &Form) -> Value {
    // What is written here is TOML; were it not, the file would not be read again, and not written.
    let text = show::block(form);
    text.parse().unwrap_or_else(|_| Value::from(text))
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::super::case::Work;
    use super::super::check::Check;
    use super::super::meet::Names;
    use super::super::read::Reader;
    use super::super::written::{Source, Written};
    use super::*;

    /// A file with a case of a message that expects `expect`.
    fn file(expect: &str) -> CaseFile {
        let text = format!(
            "# ours\nseed = 3 # a seed\n\n[[case]] # first\nname = \"a\"\nmessage = {{ kind = \"K\" }}\n{expect}\n# the end\n"
        );
        CaseFile::parse(Path::new("a.toml"), text).expect("cases")
    }

    /// What a plugin did, written as it would be expected.
    fn form(text: &str) -> Form {
        let text = format!("expect = {text}");
        let source = Source {
            file: "got",
            text: &text,
        };
        let read = source.read().expect("TOML");
        let Written::Table(entries) = read.as_ref() else {
            panic!("a table");
        };
        came(Reader::given(source).ended(&entries[0].1).expect("an end"))
    }

    /// What comes has whole texts.
    fn came(form: Form) -> Form {
        match form {
            Form::Part(text) => Form::text(text),
            Form::Table(entries) => {
                let entries = entries.into_iter();
                Form::Table(entries.map(|(key, form)| (key, came(form))).collect())
            }
            other => other,
        }
    }

    /// The file after a golden update for a plugin that did `got`.
    fn after(file: &CaseFile, got: &str) -> Option<String> {
        let Work::Message(incoming) = &file.cases[0].work else {
            panic!("a message");
        };
        let expected = incoming.expect.as_ref();
        let check = Check::of(Place::Message, expected, &form(got), &mut Names::new());
        let outcome = Outcome {
            number: 0,
            checks: vec![check],
            sessions: vec![],
            turns: Vec::new(),
            took: Duration::ZERO,
        };
        let rewrite = file.rewritten(&[outcome]).expect("rewritten")?;
        assert_eq!(rewrite.changed, [("a".to_owned(), Place::Message)]);
        Some(rewrite.file.text)
    }

    /// That of `expect` the update for `got` makes `expected`, and leaves all else as it is.
    fn becomes(expect: &str, got: &str, expected: &str) {
        let before = file(expect);
        let text = after(&before, got).expect("a change");
        assert_eq!(text, before.text.replace(expect, expected), "{got}");
        let again = CaseFile::parse(Path::new("a.toml"), text).expect("read again");
        assert_eq!(after(&again, got), None, "it expects what came");
    }

    #[test]
    fn what_came_as_expected_stays_however_it_is_written() {
        let same = file("expect = [ { deliver = { hex = \"50 45 4D\" } }, ] # why");

        assert_eq!(after(&same, "[{ deliver = \"PEM\" }]"), None);
    }

    #[test]
    fn only_what_differs_is_written_anew() {
        becomes(
            "expect = [ # two\n  { deliver = { hex = \"50 45 4D\" } }, # as it came\n  {store = {key='k', value = \"old\"} },\n]",
            "[{ deliver = \"PEM\" }, { store = { key = \"k\", value = \"new\" } }]",
            "expect = [ # two\n  { deliver = { hex = \"50 45 4D\" } }, # as it came\n  {store = {key='k', value = \"new\"} },\n]",
        );
        becomes(
            "expect = [{ reply = { kind = \"K\", fields = { n = { length = 2 }, m = 1, x = { any = true } } } }]",
            "[{ reply = { kind = \"K\", fields = { n = { hex = \"0102\" }, m = 2, x = 3 } } }]",
            "expect = [{ reply = { kind = \"K\", fields = { n = { length = 2 }, m = 2, x = { any = true } } } }]",
        );
    }

    #[test]
    fn tables_below_the_case_stay_tables() {
        becomes(
            "[[case.expect]]\nreply.kind = \"K\" # kind\nreply.fields.n = 1 # old\n",
            "[{ reply = { kind = \"K\", fields = { n = 2 } } }, { deliver = \"\" }]",
            "[[case.expect]]\nreply.kind = \"K\" # kind\nreply.fields.n = 2 # old\n\n[[case.expect]]\ndeliver = \"\"\n",
        );
        becomes(
            "[case.expect.failure] # why\nkind = \"refused\"",
            "{ failure = { kind = \"malformed\", text = \"\" } }",
            "[case.expect.failure] # why\nkind = \"malformed\"",
        );
    }

    #[test]
    fn effects_that_are_new_and_that_are_gone() {
        becomes(
            "expect = [\n  { deliver = \"a\" },\n]",
            "[{ deliver = \"a\" }, { deliver = \"b\" }]",
            "expect = [\n  { deliver = \"a\" },\n  { deliver = \"b\" },\n]",
        );
        becomes(
            "expect = [{ deliver = \"a\" }, { deliver = \"b\" }]",
            "[{ deliver = \"a\" }]",
            "expect = [{ deliver = \"a\" }]",
        );
        becomes(
            "expect = [{ store = { key = \"k\" } }]",
            "[{ store = { key = \"k\", value = \"v\" } }]",
            "expect = [{ store = { key = \"k\", value = \"v\" } }]",
        );
        becomes(
            "expect = [{ store = { key = \"k\", value = \"v\" } }]",
            "[{ store = { key = \"k\" } }]",
            "expect = [{ store = { key = \"k\" } }]",
        );
        becomes(
            "expect = [{ store = {\n  key = \"k\", # its key\n  value = \"v\",\n} }]",
            "[{ store = { key = \"l\", value = \"w\" } }]",
            "expect = [{ store = {\n  key = \"l\", # its key\n  value = \"w\",\n} }]",
        );
        becomes("expect = { nothing = true }", "[]", "expect = []");
    }

    #[test]
    fn a_case_that_expects_nothing_yet_expects_what_came() {
        let new = file("");

        let text = after(&new, "{ nothing = true }").expect("a change");

        assert!(
            text.contains("message = { kind = \"K\" }\nexpect = { nothing = true }\n"),
            "{text}"
        );
    }

    #[test]
    fn fields_that_are_written_raw_are_replaced_whole() {
        becomes(
            "expect = [{ reply = { kind = \"K\", fields = { raw = \"81 a1 61 01\" } } }]",
            "[{ reply = { kind = \"K\", fields = { a = 1, b = 2 } } }]",
            "expect = [{ reply = { kind = \"K\", fields = { a = 1, b = 2 } } }]",
        );
    }
}
