use super::channel::CHANNEL;
use crate::message::{DecodeError, Inner, MAX_VALUES, Value};
use crate::overlay::{self, SealError};
use crate::randomness::Randomness;

/// What a node reads after it has decrypted: a value, and the inner message that it may be.
///
/// What must hold: a value that was read is written in one form, which reads as the same and is what signatures cover; it has no
/// more values than bytes came, and no more than [`MAX_VALUES`]; the message made of what a handler is shown of it is the same
/// message; and a message is sealed only if its receiver can open it. `true` when there was a message.
pub fn inner_message(input: &[u8]) -> bool {
    let Ok(value) = Value::decode(input) else {
        return false;
    };
    // By their bytes: a value may hold a number that equals nothing, itself included.
    let written = value.encode();
    let again = Value::decode(&written).map(|again| again.encode());
    assert_eq!(again.as_ref(), Ok(&written));
    let Size { values, bytes } = size(&value);
    assert!(values <= input.len().min(MAX_VALUES) && bytes <= input.len());

    let Ok(inner) = Inner::from_value(value) else {
        return false;
    };
    let signed = inner.to_value().encode();
    assert_eq!(inner.encode(), signed);
    let read = Value::decode(&signed).map(Inner::from_value);
    let read = read.expect("a value").expect("the same message");
    assert_eq!(read.to_value().encode(), signed);

    let shown = Value::decode(&inner.fields_msgpack()).expect("fields");
    let (source, dest) = (inner.source.clone(), inner.dest.clone());
    let (request_id, kind) = (inner.request_id.clone(), inner.kind.clone());
    let made = Inner::new(source, dest, request_id, kind, shown).expect("the same message");
    assert_eq!(made.to_value().encode(), signed);
    comes_through(&inner);
    true
}

/// Sealed, sent and opened; or refused where it would be too deep, or too many values, with what is around it.
fn comes_through(inner: &Inner) {
    let mut rng = Randomness::from_seed(1);
    let sealed = overlay::seal(&CHANNEL.sender, &CHANNEL.researcher, inner, false, &mut rng);
    match sealed {
        Ok(sealed) => {
            let opened = overlay::open(&CHANNEL.receiver, &sealed).expect("what was sealed");
            assert_eq!(opened.to_value().encode(), inner.to_value().encode());
        }
        Err(SealError::Unreadable(DecodeError::TooDeep | DecodeError::TooManyValues)) => {}
        Err(error) => panic!("{error}"),
    }
}

#[derive(Default)]
struct Size {
    values: usize,
    /// Of texts, bytes and large integers.
    bytes: usize,
}

/// How much a value holds, those within it included.
fn size(value: &Value) -> Size {
    let within: Vec<&Value> = match value {
        Value::List(items) | Value::Tuple(items) | Value::Set(items) => items.iter().collect(),
        Value::Map(entries) => entries
            .iter()
            .flat_map(|(key, value)| [key, value])
            .collect(),
        _ => vec![],
    };
    let own = match value {
        Value::Str(text) => text.len(),
        Value::Bin(bytes) => bytes.len(),
        Value::Int(integer) if integer.to_i64().is_none() => integer.to_signed_bytes_be().len(),
        _ => 0,
    };
    within.into_iter().map(size).fold(
        Size {
            values: 1,
            bytes: own,
        },
        |sum, one| Size {
            values: sum.values + one.values,
            bytes: sum.bytes + one.bytes,
        },
    )
}
