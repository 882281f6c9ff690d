/// Appends a field to what will be hashed, authenticated or mixed into a key: its length in 4 bytes, big-endian, then its bytes.
/// So no two lists of fields are the same text.
pub(super) fn put(text: &mut Vec<u8>, field: &[u8]) {
    // No field is longer than a message, which stays below 2³² bytes.
    let length = u32::try_from(field.len()).unwrap_or(u32::MAX);
    text.extend_from_slice(&length.to_be_bytes());
    text.extend_from_slice(field);
}
