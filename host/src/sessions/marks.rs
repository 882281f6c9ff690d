//! By what a node knows that a handshake frame is its peer's before it computes anything on a curve: two nodes share a secret at
//! any time, that of their identity keys, and codes are made with keys of it.
//!
//! A code shows that the frame and all around it are as one of the two nodes wrote them, for this researcher and in this direction. It
//! does not show that they are new. The keys are the same for all suites, as each frame says its own. Who holds a node's identity key can make codes in both nodes' names, and then fails in the
//! handshake itself.

use zeroize::Zeroizing;

use super::SALT_BYTES;
use super::Suite;
use super::frame::MAC_BYTES;
use super::prologue::Limits;
use crate::primitives::{HmacSha256, hkdf_sha256, put};

/// The keys of codes between two nodes. Each has a place of its own: a peer is moved when others come and go, and leaves no copy then.
pub(super) struct Marks {
    first: Box<Zeroizing<[u8; 32]>>,
    second: Box<Zeroizing<[u8; 32]>>,
}

impl Marks {
    /// Of the static–static secret.
    pub(super) fn new(shared: &[u8; 32]) -> Self {
        let key =
            |label: &[u8]| Box::new(hkdf_sha256(&[], shared, &[b"backchannel suite 2 ", label]));
        Self {
            first: key(b"HS1"),
            second: key(b"HS2"),
        }
    }

    /// The code of a first frame: `mac1`. `frame` is all before it, `place` the prologue without its limits.
    pub(super) fn first(
        &self,
        salt: &[u8],
        nonce: &[u8],
        frame: &[u8],
        place: &[u8],
        limits: Limits,
    ) -> [u8; MAC_BYTES] {
        let mut code = self.over(salt, nonce, frame, place);
        code.update(&limits.encode());
        let mut mac = [0; MAC_BYTES];
        mac.copy_from_slice(&code.tag()[..MAC_BYTES]);
        mac
    }

    /// With which limits this is the code of a first frame of this suite; `None` when it is not its peer's.
    pub(super) fn limits_of_first(
        &self,
        suite: Suite,
        salt: &[u8],
        nonce: &[u8],
        frame: &[u8],
        place: &[u8],
        mac: &[u8; MAC_BYTES],
    ) -> Option<Limits> {
        let code = self.over(salt, nonce, frame, place);
        Limits::of_initiators(suite).find(|limits| {
            let mut code = code.clone();
            code.update(&limits.encode());
            code.begins_with(mac)
        })
    }

    /// The code of a second frame, which has no place for one: it is the salt of the outer message, for which a handshake has no
    /// other use. To the relay it is as random as any salt.
    pub(super) fn second(&self, nonce: &[u8], frame: &[u8], prologue: &[u8]) -> [u8; SALT_BYTES] {
        self.over_second(nonce, frame, prologue).tag()
    }

    /// Whether this is the code of a second frame.
    pub(super) fn is_second(
        &self,
        salt: &[u8; SALT_BYTES],
        nonce: &[u8],
        frame: &[u8],
        prologue: &[u8],
    ) -> bool {
        self.over_second(nonce, frame, prologue).begins_with(salt)
    }

    fn over(&self, salt: &[u8], nonce: &[u8], frame: &[u8], place: &[u8]) -> HmacSha256 {
        let mut text = Vec::with_capacity(salt.len() + nonce.len() + frame.len() + 12);
        put(&mut text, salt);
        put(&mut text, nonce);
        put(&mut text, frame);
        let mut code = HmacSha256::new(&self.first);
        code.update(&text);
        code.update(place);
        code
    }

    fn over_second(&self, nonce: &[u8], frame: &[u8], prologue: &[u8]) -> HmacSha256 {
        let mut text = Vec::with_capacity(nonce.len() + frame.len() + 8);
        put(&mut text, nonce);
        put(&mut text, frame);
        let mut code = HmacSha256::new(&self.second);
        code.update(&text);
        code.update(prologue);
        code
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_tells_the_limits_and_fits_nothing_else() {
        let marks = Marks::new(&[1; 32]);
        let all = Suite::ALL.map(|suite| Limits::of_initiators(suite).map(move |it| (suite, it)));
        for (suite, limits) in all.into_iter().flatten() {
            let mac = marks.first(b"salt", b"nonce", b"frame", b"place", limits);
            let found = |salt, nonce, frame, place| {
                marks.limits_of_first(suite, salt, nonce, frame, place, &mac)
            };
            assert_eq!(found(b"salt", b"nonce", b"frame", b"place"), Some(limits));
            assert_eq!(found(b"sal", b"tnonce", b"frame", b"place"), None);
            assert_eq!(found(b"salt", b"nonce", b"frame", b"other"), None);
        }
        let beyond = Limits {
            highest: 5,
            lowest: 2,
        };
        let mac = marks.first(b"salt", b"nonce", b"frame", b"place", beyond);
        let found = marks.limits_of_first(Suite::Two, b"salt", b"nonce", b"frame", b"place", &mac);
        assert_eq!(found, None);
    }

    #[test]
    fn other_keys_make_other_codes() {
        let [ours, theirs] = [1, 2].map(|secret| Marks::new(&[secret; 32]));
        let code = ours.second(b"nonce", b"frame", b"prologue");
        assert!(ours.is_second(&code, b"nonce", b"frame", b"prologue"));
        assert!(!ours.is_second(&code, b"nonce", b"frame", b"another"));
        assert!(!theirs.is_second(&code, b"nonce", b"frame", b"prologue"));
    }
}
