//! What is expected, held against what came.

use std::collections::BTreeMap;

use super::form::Form;

/// What stands for each name of `{ same = … }` in a case, as its bytes.
pub(super) type Names = BTreeMap<String, Vec<u8>>;

/// How the two go together.
pub(super) struct Met {
    /// Whether all that is expected came, and nothing else.
    pub(super) fits: bool,
    /// What is expected, with what came wherever an open part of it fits.
    pub(super) shown: Form,
    /// What should have been expected: what came, with what fits kept as it is written.
    pub(super) kept: Form,
}

/// Holds `expected` against `got`, and remembers in `names` what stood for a name.
pub(super) fn meet(expected: &Form, got: &Form, names: &mut Names) -> Met {
    match (expected, got) {
        (Form::List(expected), Form::List(got)) => lists(expected, got, names),
        (Form::Table(expected), Form::Table(got)) => {
            let (fits, shown, kept) = tables(expected, got, names);
            Met {
                fits,
                shown: Form::Table(shown),
                kept: Form::Table(kept),
            }
        }
        (Form::Fields(expected), Form::Body(bytes)) => match Form::fields_in(bytes) {
            Some(got) => {
                let (fits, shown, kept) = tables(expected, &got, names);
                Met {
                    fits,
                    shown: Form::Fields(shown),
                    kept: Form::Fields(kept),
                }
            }
            None => whole(Form::Fields(expected.clone()), got, false),
        },
        _ => whole(expected.clone(), got, is_met(expected, got, names)),
    }
}

/// Two parts that are taken whole.
fn whole(expected: Form, got: &Form, fits: bool) -> Met {
    let (shown, kept) = if fits {
        (got.clone(), Form::Kept(Box::new(expected)))
    } else {
        (expected, got.clone())
    };
    Met { fits, shown, kept }
}

fn lists(expected: &[Form], got: &[Form], names: &mut Names) -> Met {
    let met: Vec<_> = expected
        .iter()
        .zip(got)
        .map(|(expected, got)| meet(expected, got, names))
        .collect();
    let fits = expected.len() == got.len() && met.iter().all(|met| met.fits);
    let both = met.len();
    let (mut shown, mut kept) = (Vec::new(), Vec::new());
    for met in met {
        shown.push(met.shown);
        kept.push(met.kept);
    }
    shown.extend_from_slice(&expected[both..]);
    kept.extend_from_slice(&got[both..]);
    Met {
        fits,
        shown: Form::List(shown),
        kept: Form::List(kept),
    }
}

type Entries = Vec<(String, Form)>;

/// Whether two tables go together, what is shown of the one, and what should have been expected: each in the other's order, as
/// far as they have the same keys.
fn tables(
    expected: &[(String, Form)],
    got: &[(String, Form)],
    names: &mut Names,
) -> (bool, Entries, Entries) {
    let mut fits = true;
    let (mut shown, mut kept) = (BTreeMap::new(), Vec::new());
    for (key, expected) in expected {
        let Some((_, got)) = got.iter().find(|(other, _)| other == key) else {
            fits = false;
            continue;
        };
        let met = meet(expected, got, names);
        fits &= met.fits;
        shown.insert(key, met.shown);
        kept.push((key.clone(), met.kept));
    }
    let common = |(key, _): &&(String, Form)| shown.contains_key(key);
    let missing: Vec<_> = expected
        .iter()
        .filter(|one| !common(one))
        .cloned()
        .collect();
    let more: Vec<_> = got.iter().filter(|one| !common(one)).cloned().collect();
    fits &= more.is_empty();
    kept.extend(more);
    let shown = got
        .iter()
        .filter_map(|(key, _)| Some((key.clone(), shown.get(key)?.clone())));
    (fits, shown.chain(missing).collect(), kept)
}

fn is_met(expected: &Form, got: &Form, names: &mut Names) -> bool {
    match (expected, got) {
        (Form::Any, _) => true,
        (Form::Length(length), _) => bytes(got).is_some_and(|bytes| bytes.len() == *length),
        (Form::Same(name), _) => content(got).is_some_and(|content| {
            let first = names.entry(name.clone()).or_insert_with(|| content.clone());
            *first == content
        }),
        (Form::Part(part), _) => match got {
            Form::Leaf(value) => value.as_str().is_some_and(|text| text.contains(part)),
            _ => false,
        },
        // By their bytes: a number that is none is itself, and 1 is not 1.0.
        (Form::Leaf(expected), Form::Leaf(got)) => expected.encode() == got.encode(),
        (Form::Body(expected), Form::Body(got)) => expected == got,
        _ => false,
    }
}

fn bytes(form: &Form) -> Option<&[u8]> {
    match form {
        Form::Body(bytes) => Some(bytes),
        Form::Leaf(value) => value.as_bin().or_else(|| value.as_str().map(str::as_bytes)),
        _ => None,
    }
}

/// What two parts have in common that are the same: bytes and texts by theirs, anything else by its MessagePack.
fn content(form: &Form) -> Option<Vec<u8>> {
    match bytes(form) {
        Some(bytes) => Some(bytes.to_vec()),
        None => Some(form.to_value()?.encode()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Value;

    fn table(entries: &[(&str, Form)]) -> Form {
        let entries = entries.iter();
        Form::Table(
            entries
                .map(|(key, form)| ((*key).into(), form.clone()))
                .collect(),
        )
    }

    fn number(number: i64) -> Form {
        Form::Leaf(number.into())
    }

    fn fits(expected: &Form, got: &Form) -> bool {
        meet(expected, got, &mut Names::new()).fits
    }

    #[test]
    fn one_more_one_less_and_another_type_do_not_fit() {
        let got = table(&[("a", number(1)), ("b", Form::List(vec![number(2)]))]);
        let list = |items: &[Form]| table(&[("a", number(1)), ("b", Form::List(items.to_vec()))]);
        for other in [
            table(&[("a", number(1))]),
            table(&[("a", number(1)), ("b", Form::Any), ("c", Form::Any)]),
            table(&[("a", Form::Leaf(Value::Float(1.0))), ("b", Form::Any)]),
            list(&[]),
            list(&[number(2), number(2)]),
            list(&[number(3)]),
            Form::List(vec![Form::Any, Form::Any]),
            Form::Length(2),
        ] {
            assert!(!fits(&other, &got), "{other:?}");
        }
        assert!(fits(&got, &got));
    }

    #[test]
    fn bytes_are_not_a_text_and_a_body_is_either_its_bytes_or_its_fields() {
        let text = Form::text("PEM");
        let bin = Form::Leaf(Value::Bin(b"PEM".to_vec()));
        let body = Form::Body(b"\x81\xa1a\x01".to_vec());
        assert!(!fits(&text, &bin));
        assert!(!fits(&bin, &Form::Body(b"PEM".to_vec())));
        assert!(fits(&body, &body));
        assert!(fits(&Form::Fields(vec![("a".into(), number(1))]), &body));
        assert!(!fits(&Form::Fields(vec![("a".into(), number(2))]), &body));
        assert!(!fits(
            &Form::Fields(vec![]),
            &Form::Body(b"\x80\x80".to_vec())
        ));
    }

    #[test]
    fn a_name_stands_for_one_content_in_the_whole_case() {
        let expected = Form::List(vec![Form::Same("key".into()), Form::Same("key".into())]);
        let bin = |bytes: &[u8]| Form::Leaf(Value::Bin(bytes.to_vec()));
        let got = |second| Form::List(vec![Form::Body(b"one".to_vec()), second]);

        assert!(fits(&expected, &got(bin(b"one"))));
        assert!(!fits(&expected, &got(bin(b"two"))));
    }

    #[test]
    fn what_should_have_been_expected_keeps_the_open_parts_that_fit() {
        let expected = table(&[
            ("nonce", Form::Length(2)),
            ("why", Form::Part("late".into())),
            ("gone", number(0)),
            ("n", number(1)),
        ]);
        let got = table(&[
            ("n", number(2)),
            ("new", number(3)),
            ("nonce", Form::Body(vec![7, 7])),
            ("why", Form::text("too late")),
        ]);

        let met = meet(&expected, &got, &mut Names::new());

        assert!(!met.fits);
        let as_written = |form| Form::Kept(Box::new(form));
        let kept = [
            ("nonce", as_written(Form::Length(2))),
            ("why", as_written(Form::Part("late".into()))),
            ("n", number(2)),
            ("new", number(3)),
        ];
        assert_eq!(met.kept, table(&kept));
        let shown = [
            ("n", number(1)),
            ("nonce", Form::Body(vec![7, 7])),
            ("why", Form::text("too late")),
            ("gone", number(0)),
        ];
        assert_eq!(met.shown, table(&shown));
    }
}
