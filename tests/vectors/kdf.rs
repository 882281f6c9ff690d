//! `kdf.json`: ECDH and key derivation.

use backchannel::primitives::{concat_kdf, ecdh, sorted_ids};

use crate::fixture::{Report, array, bytes, key_pair, list, load, text};

pub const FILE: &str = "kdf.json";

#[test]
fn vectors_kdf() {
    let file = load(FILE);
    let mut report = Report::new(FILE);
    let (a, a_public) = key_pair(&file["key_a"]);
    let (b, b_public) = key_pair(&file["key_b"]);
    for case in list(&file, "vectors") {
        let shared: [u8; 32] = array(case, "shared_secret");
        assert_eq!(*ecdh(&a, &b_public), shared);
        assert_eq!(*ecdh(&b, &a_public), shared);
        let (local, peer) = (text(case, "local_id"), text(case, "peer_id"));
        let salt = bytes(case, "salt");
        let ids = sorted_ids(local, peer);
        assert_eq!(ids, sorted_ids(peer, local));
        assert_eq!([salt.as_slice(), &ids].concat(), bytes(case, "otherinfo"));
        let key = concat_kdf(&shared, &[&salt, &ids]);
        assert_eq!(*key, array::<32>(case, "key"), "{local} and {peer}");
        report.checked();
    }
    report.finish();
}
