//! An outer message in the form in which every peer writes it, read in place: a relay reads each that it passes on, and a tree of its
//! values takes some thirty allocations to build and take apart.

use rmp::decode::{read_bin_len, read_bool, read_map_len, read_str_from_slice};

use super::record::{TYPE_FIELD, VERSION_FIELD};
use super::{MAX_MESSAGE_BYTES, OverlayMessage, PROTOCOL_VERSION};

/// Fields of an outer message, version and class included.
const FIELDS: u32 = 9;

/// Reads what has the fields in the reference's order, our version and valid ids. `None`: another form of it, which only the reader of
/// any form can tell from what is no outer message.
pub(super) fn read(bytes: &[u8]) -> Option<OverlayMessage> {
    if bytes.len() > MAX_MESSAGE_BYTES {
        return None;
    }
    let mut rest = Rest(bytes);
    rest.map(FIELDS)?;
    rest.exactly([VERSION_FIELD, PROTOCOL_VERSION])?;
    let message = OverlayMessage {
        researcher_id: rest.text_of("researcher_id")?.try_into().ok()?,
        source: rest.text_of("node_id")?.try_into().ok()?,
        dest: rest.text_of("dest_node_id")?.try_into().ok()?,
        overlay: rest.bytes_of("overlay")?,
        setup: rest.flag_of("setup")?,
        salt: rest.bytes_of("salt")?,
        nonce: rest.bytes_of("nonce")?,
    };
    rest.exactly([TYPE_FIELD])?;
    rest.map(2)?;
    rest.text_of("module")?;
    rest.exactly(["class", OverlayMessage::CLASS])?;
    rest.0.is_empty().then_some(message)
}

/// What is left to read.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn map(&mut self, entries: u32) -> Option<()> {
        (read_map_len(&mut self.0).ok()? == entries).then_some(())
    }

    fn text(&mut self) -> Option<&'a str> {
        let (text, rest) = read_str_from_slice(self.0).ok()?;
        self.0 = rest;
        Some(text)
    }

    fn exactly<const N: usize>(&mut self, texts: [&str; N]) -> Option<()> {
        texts
            .into_iter()
            .all(|text| self.text() == Some(text))
            .then_some(())
    }

    fn text_of(&mut self, field: &str) -> Option<&'a str> {
        self.exactly([field])?;
        self.text()
    }

    fn bytes_of(&mut self, field: &str) -> Option<Vec<u8>> {
        self.exactly([field])?;
        let length = read_bin_len(&mut self.0).ok()?;
        let (bytes, rest) = self.0.split_at_checked(length.try_into().ok()?)?;
        self.0 = rest;
        Some(bytes.to_vec())
    }

    fn flag_of(&mut self, field: &str) -> Option<bool> {
        self.exactly([field])?;
        read_bool(&mut self.0).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Value;
    use crate::message::overlay::tests::message;
    use crate::message::record::Record;

    /// By the reader of any form.
    fn read_in_any_form(bytes: &[u8]) -> Option<OverlayMessage> {
        let record = Record::read(Value::decode(bytes).ok()?).ok()?;
        let is_outer = record.class() == OverlayMessage::CLASS;
        is_outer.then(|| OverlayMessage::from_record(record).ok())?
    }

    #[test]
    fn reads_nothing_that_the_reader_of_any_form_refuses_or_reads_otherwise() {
        let bytes = message().encode();
        let mut read_too = 0;

        for at in 0..bytes.len() {
            for changed in 0..=u8::MAX {
                let mut other = bytes.clone();
                other[at] = changed;
                if let Some(message) = read(&other) {
                    assert_eq!(read_in_any_form(&other), Some(message), "{at}: {changed}");
                    read_too += 1;
                }
            }
            assert_eq!(read(&bytes[..at]), None, "cut at {at}");
        }

        assert!(read_too > bytes.len(), "ids and bytes may be others");
        assert_eq!(read(&[bytes, vec![0]].concat()), None);
    }

    #[test]
    fn reads_what_is_written() {
        assert_eq!(read(&message().encode()), Some(message()));
    }
}
