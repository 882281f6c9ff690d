//! `chacha20.json`: the keystream, also across the end of the block counter.

use backchannel::primitives::{advance_nonce, chacha20_xor};

use crate::fixture::{Report, array, bytes, list, load, text};

pub const FILE: &str = "chacha20.json";

#[test]
fn vectors_chacha20() {
    let file = load(FILE);
    let mut report = Report::new(FILE);
    for case in list(&file, "vectors") {
        let (key, nonce) = (array(case, "key"), array(case, "nonce16"));
        let expected = bytes(case, "keystream_256");
        let mut keystream = vec![0; expected.len()];
        chacha20_xor(&key, &nonce, &mut keystream);
        assert_eq!(keystream, expected, "nonce {}", text(case, "nonce16"));
        for (block, expected) in expected.chunks(64).enumerate() {
            let mut keystream = vec![0; expected.len()];
            chacha20_xor(&key, &advance_nonce(&nonce, block as u64), &mut keystream);
            assert_eq!(keystream, expected, "block {block}");
        }
        report.checked();
    }
    report.finish();
}
