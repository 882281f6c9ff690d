//! The secrets of two nodes, by what they drew: computed from the formulas of the design, and not by the code that keeps them.

use backchannel::message::OverlayMessage;
use backchannel::primitives::{
    chacha20_xor, ecdh, halves, hkdf_sha256, hkdf_sha256_expand, kem_encapsulate,
};
use backchannel::sessions::Suite;
#[expect(deprecated, reason = "a key as it is held, and not as it is stored")]
use ml_kem::ExpandedKeyEncoding;
use ml_kem::KeyExport;
use ml_kem::ml_kem_768::DecapsulationKey;
use p256::elliptic_curve::sec1::ToSec1Point;
use p256::{PublicKey, SecretKey};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// Of a secret that is drawn first, is no node's, and is kept.
pub const KEPT_BYTES: usize = 32;
/// Of a message's content.
pub const CONTENT_BYTES: usize = 4000;
/// Handshakes that are never answered, each at another researcher: more than stand together in a map, so that some are moved.
pub const UNANSWERED: usize = 12;
/// Levels of a tree of keys.
const DEPTH: u32 = 17;

/// Until when a secret may be in memory.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub enum Until {
    /// It was used, once.
    Used,
    /// A session uses it.
    Closed,
    /// A node has it for all its sessions.
    Gone,
    /// It is no node's.
    Ever,
}

pub struct Secret {
    pub name: String,
    pub bytes: Vec<u8>,
    pub until: Until,
}

/// All secrets of the two nodes that drew this and sent that: HS1, HS2, a proof, a message of `a`, and one of `b`.
pub fn secrets(suite: Suite, drawn: &[u8], sent: &[OverlayMessage]) -> Vec<Secret> {
    let mut all = Vec::new();
    let mut add = |name: &str, bytes: &[u8], until: Until| {
        all.push(Secret {
            name: name.to_owned(),
            bytes: bytes.to_vec(),
            until,
        });
    };
    let mut rest = drawn;
    let mut take = |bytes: usize| {
        let (taken, after) = rest.split_at(bytes);
        rest = after;
        taken
    };
    add("the secret that is kept", take(KEPT_BYTES), Until::Ever);
    // In the order in which it is drawn: see `vectors.rs`.
    let [of_a, of_b] = [take(32), take(32)];
    let [seed_bytes, drawn_bytes] = match suite {
        Suite::Two => [0, 0],
        Suite::Three => [64, 32],
    };
    let mut of_begun = || (take(4), take(32), take(32), take(seed_bytes));
    let of_unanswered = [(); UNANSWERED].map(|()| of_begun());
    let (first_index, _, of_first, seed) = of_begun();
    let (of_second, of_kem, second_index) = (take(32), take(drawn_bytes), take(4));
    let proof_salt = take(32);
    let (forth, forth_salt) = (take(CONTENT_BYTES), take(32));
    let (back, back_salt) = (take(CONTENT_BYTES), take(32));

    let [first, second, _, forth_sealed, back_sealed] = sent else {
        panic!("five messages");
    };
    // Keys are drawn with the least byte first. One draw of 2³² would be no key, and another would follow.
    let key = |bytes: &[u8]| {
        let bytes: Vec<u8> = bytes.iter().rev().copied().collect();
        SecretKey::from_slice(&bytes).expect("a key")
    };
    let public = |bytes: &[u8]| key(bytes).public_key();
    let point = |key: PublicKey| key.to_sec1_point(false).as_bytes().to_vec();
    assert_eq!(first.overlay[12..77], point(public(of_first)));
    assert_eq!(second.overlay[16..81], point(public(of_second)));

    add("the identity of a", of_a, Until::Gone);
    add("the identity of b", of_b, Until::Gone);
    for (number, (_, _, key, seed)) in of_unanswered.into_iter().enumerate() {
        let name = format!("the ephemeral key of what was not answered at researcher {number}");
        add(&name, key, Until::Closed);
        // None of it in suite 2.
        for part in seed.chunks_exact(32) {
            add(&format!("{name}: of ML-KEM"), part, Until::Closed);
        }
    }
    add("the ephemeral key of HS1", of_first, Until::Used);
    add("the ephemeral key of HS2", of_second, Until::Used);
    let es = ecdh(&key(of_first), &public(of_b));
    let ss = ecdh(&key(of_a), &public(of_b));
    let ee = ecdh(&key(of_first), &public(of_second));
    let se = ecdh(&key(of_a), &public(of_second));
    add("ss", &*ss, Until::Gone);
    for label in ["HS1", "HS2"] {
        let info = [&b"backchannel suite 2 "[..], label.as_bytes()];
        let mark = hkdf_sha256::<32>(&[], &*ss, &info);
        add(&format!("the key of codes of {label}"), &*mark, Until::Gone);
    }
    let kem = of_ml_kem(seed, of_kem);
    let mut inputs = vec![("es", &es), ("ss", &ss), ("ee", &ee)];
    if let Some((shared, expanded)) = &kem {
        for (name, part) in [("d", &seed[..32]), ("z", &seed[32..]), ("m", of_kem)] {
            add(&format!("{name} of ML-KEM"), part, Until::Used);
        }
        add("the private key of ML-KEM", expanded, Until::Used);
        inputs.push(("ekem1", shared));
    }
    inputs.push(("se", &se));
    let mut chaining_key = match suite {
        Suite::Two => *b"Noise_KK_P256_ChaChaPoly_SHA256\0",
        Suite::Three => Sha256::digest("Noise_KKhfs_P256+MLKEM768_ChaChaPoly_SHA256").into(),
    };
    for (name, input) in inputs {
        let [next, cipher] = halves(&hkdf_sha256(&chaining_key, &**input, &[]));
        chaining_key = *next;
        if name != "ss" {
            add(name, &**input, Until::Used);
        }
        add(&format!("ck after {name}"), &*next, Until::Used);
        add(&format!("k after {name}"), &*cipher, Until::Used);
    }
    let transport = halves(&hkdf_sha256(&chaining_key, &[], &[]));
    let messages = [
        vec![
            (proof_salt, None),
            (forth_salt, Some((forth, forth_sealed))),
        ],
        vec![(back_salt, Some((back, back_sealed)))],
    ];
    for (way, (transport, messages)) in transport.iter().zip(messages).enumerate() {
        let name = |what: &str| format!("{what} of direction {way}");
        add(&name("the transport key"), &**transport, Until::Used);
        let label = b"backchannel suite 2 messages";
        let root = hkdf_sha256_expand(transport, &[label, first_index, second_index]);
        for (counter, (salt, content)) in messages.iter().enumerate() {
            let path = path(*root, counter as u64);
            for (level, secret) in path.iter().enumerate() {
                let name = name(&format!("node {level} of message {counter}"));
                add(&name, secret, Until::Used);
            }
            let leaf = path.last().expect("a leaf");
            let key = hkdf_sha256(salt, leaf, &[b"backchannel suite 2 message"]);
            add(
                &name(&format!("the key of message {counter}")),
                &*key,
                Until::Used,
            );
            if let Some((content, sealed)) = content {
                add(&name("what is said"), content, Until::Used);
                let text = &mut sealed.overlay[8..].to_vec();
                // The first block of ChaCha20-Poly1305 makes the key of the tag.
                let mut nonce = [0; 16];
                nonce[0] = 1;
                nonce[8..].copy_from_slice(&sealed.nonce[8..]);
                chacha20_xor(&key, &nonce, text);
                let found = text.windows(content.len()).any(|part| part == *content);
                assert!(found, "the key is that of the message");
            }
        }
        // What is still to come: the highest node that is on no path to a message that was sent.
        let next = messages.len() as u64;
        let height = next.trailing_zeros();
        let kept = path(*root, next)[(DEPTH - height) as usize];
        add(&name("what is to come"), &kept, Until::Closed);
    }
    all
}

/// The secret that is sent with what was drawn for it to the key of this seed; and that key as it is computed with: 3 polynomials of 256
/// coefficients, in words.
fn of_ml_kem(seed: &[u8], drawn: &[u8]) -> Option<(Zeroizing<[u8; 32]>, Vec<u8>)> {
    let key = DecapsulationKey::from_seed(seed.try_into().ok()?);
    let public = key.encapsulation_key().to_bytes().into();
    let (_, shared) = kem_encapsulate(&public, drawn.try_into().ok()?).ok()?;
    // Two coefficients of 12 bits stand in three bytes (FIPS 203, algorithm 5).
    #[expect(deprecated, reason = "as above")]
    let packed = key.to_expanded_bytes();
    let pairs = packed[..3 * 384].chunks_exact(3);
    let expanded = pairs.flat_map(|pair| {
        let (low, high) = (pair[0], pair[2]);
        let first = u16::from(low) | u16::from(pair[1] & 0xf) << 8;
        let second = u16::from(pair[1] >> 4) | u16::from(high) << 4;
        [first, second].map(u16::to_le_bytes).concat()
    });
    Some((shared, expanded.collect()))
}

/// The nodes of a tree from its root to a leaf.
fn path(root: [u8; 32], counter: u64) -> Vec<[u8; 32]> {
    let mut path = vec![root];
    for level in (0..DEPTH).rev() {
        let above = path.last().expect("a root");
        let [left, right] = halves(&hkdf_sha256_expand(above, &[b"backchannel suite 2 node"]));
        let right_side = counter & (1 << level) != 0;
        path.push(if right_side { *right } else { *left });
    }
    path
}
