//! What a relay does, step by step: the language of `fixtures/suite2/misbehaviours.json`.
//!
//! ```text
//! begin a b r F        a begins a handshake with b at researcher r; the relay has it as F
//! say a b r F          a seals a message for b
//! close a b r F        a closes the session
//! deliver F [G]        F goes where it should, as it is, and is taken; the relay has what is answered as G
//! session a b r S      a begins, and all is delivered: S.hs1, S.hs2 and S.proof
//! inject F [to=N] [changes]   F is handed to its receiver, or to N, once more or changed; and is refused
//! restart a            a loses all that it has in memory
//! pass 5               so many seconds pass
//! ```

use std::time::Duration;

use backchannel::message::OverlayMessage;
use p256::PublicKey;
use p256::elliptic_curve::sec1::ToSec1Point;
use serde::Deserialize;

use crate::stage::public;

const HEADER: usize = 8;
const TAG: usize = 16;
const KEY: usize = 65;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    pub name: String,
    pub steps: Vec<String>,
}

/// From whom, to whom, at which researcher; and what the relay calls it.
pub struct Sent<'a> {
    pub from: &'a str,
    pub to: &'a str,
    pub at: &'a str,
    pub name: &'a str,
}

pub enum Step<'a> {
    Begin(Sent<'a>),
    Say(Sent<'a>),
    Close(Sent<'a>),
    Session(Sent<'a>),
    Deliver {
        frame: &'a str,
        answer: Option<&'a str>,
    },
    Inject {
        frame: &'a str,
        to: Option<&'a str>,
        changes: Vec<Change<'a>>,
    },
    Restart(&'a str),
    Pass(Duration),
}

/// A part of a frame, and what is put there: a frame's name, for the same part of that, or what the part has for words.
pub struct Change<'a> {
    part: &'a str,
    to: &'a str,
}

impl<'a> Step<'a> {
    pub fn read(text: &'a str) -> Option<Self> {
        let words: Vec<_> = text.split(' ').collect();
        Some(match words[..] {
            ["begin", from, to, at, name] => Self::Begin(Sent { from, to, at, name }),
            ["say", from, to, at, name] => Self::Say(Sent { from, to, at, name }),
            ["close", from, to, at, name] => Self::Close(Sent { from, to, at, name }),
            ["session", from, to, at, name] => Self::Session(Sent { from, to, at, name }),
            ["deliver", frame] => Self::Deliver {
                frame,
                answer: None,
            },
            ["deliver", frame, answer] => Self::Deliver {
                frame,
                answer: Some(answer),
            },
            ["inject", frame, ref words @ ..] => {
                let all = words.iter().map(|word| word.split_once('='));
                let all = all.collect::<Option<Vec<_>>>()?;
                let (to, changes): (Vec<_>, Vec<_>) =
                    all.into_iter().partition(|(part, _)| *part == "to");
                Self::Inject {
                    frame,
                    to: to.first().map(|(_, node)| *node),
                    changes: changes
                        .into_iter()
                        .map(|(part, to)| Change { part, to })
                        .collect(),
                }
            }
            ["restart", node] => Self::Restart(node),
            ["pass", seconds] => Self::Pass(Duration::from_secs(seconds.parse().ok()?)),
            _ => return None,
        })
    }
}

impl Change<'_> {
    /// Makes the change; `frame` finds what another name stands for. `None` when it cannot be made.
    pub fn make<'f>(
        &self,
        message: &mut OverlayMessage,
        frame: impl Fn(&str) -> Option<&'f OverlayMessage>,
    ) -> Option<()> {
        let Self { part, to } = *self;
        let number = || to.parse::<u64>().ok();
        let bytes = || number().and_then(|number| usize::try_from(number).ok());
        match part {
            "source" => message.source = to.parse().ok()?,
            "dest" => message.dest = to.parse().ok()?,
            "researcher" => message.researcher_id = to.parse().ok()?,
            "ids" => std::mem::swap(&mut message.source, &mut message.dest),
            "setup" => message.setup = !message.setup,
            "salt" | "nonce" => {
                let field = match part {
                    "salt" => &mut message.salt,
                    _ => &mut message.nonce,
                };
                match to {
                    "zero" => field.fill(0),
                    "shorter" => drop(field.pop()),
                    "longer" => field.push(0),
                    "none" => field.clear(),
                    "inverted" => field.iter_mut().for_each(|byte| *byte = !*byte),
                    other if part == "salt" => *field = frame(other)?.salt.clone(),
                    other => *field = frame(other)?.nonce.clone(),
                }
            }
            // The receiver's index in the nonce: that of another frame's nonce, or what the sender of a handshake frame said.
            "index" => {
                let index = match to.strip_prefix("said-in-") {
                    Some(other) => &frame(other)?.overlay[HEADER..HEADER + 4],
                    None if to == "zero" => &[0; 4],
                    None => &frame(to)?.nonce[..4],
                };
                message.nonce[..4].copy_from_slice(index);
            }
            "counter" => {
                let counter = number().map(u64::to_be_bytes);
                let counter = counter.or_else(|| frame(to)?.nonce[8..].try_into().ok())?;
                message.nonce[8..].copy_from_slice(&counter);
            }
            "overlay" => message.overlay = frame(to)?.overlay.clone(),
            "magic" => message.overlay[..4].copy_from_slice(to.as_bytes().get(..4)?),
            "suite" if to == "other" => message.overlay[4] = 5 - message.overlay[4],
            "suite" => message.overlay[4] = to.parse().ok()?,
            "type" => message.overlay[5] = to.parse().ok()?,
            "reserved" => message.overlay[6] = to.parse().ok()?,
            "keep" => message.overlay.truncate(bytes()?),
            "cut" => message
                .overlay
                .truncate(message.overlay.len().checked_sub(bytes()?)?),
            "append" => message.overlay.extend(vec![0; bytes()?]),
            "flip" => *message.overlay.get_mut(bytes()?)? ^= 1,
            // What is sealed, or the frame between its header and its last 16 bytes.
            "body" => {
                let end = message.overlay.len().checked_sub(TAG)?;
                let body = message.overlay.get_mut(HEADER..end)?;
                match to {
                    "zero" => body.fill(0),
                    "inverted" => body.iter_mut().for_each(|byte| *byte = !*byte),
                    other => {
                        let other = &frame(other)?.overlay;
                        let body = other.get(HEADER..other.len().checked_sub(TAG)?)?.to_vec();
                        message.overlay.splice(HEADER..end, body);
                    }
                }
            }
            // The last 16 bytes: a tag, and of HS1 its code.
            "tag" => {
                let tag = match to {
                    "zero" => [0; TAG],
                    other => *frame(other)?.overlay.last_chunk()?,
                };
                *message.overlay.last_chunk_mut()? = tag;
            }
            // The first index in a handshake frame: its sender's.
            "sender" => copy(message, frame(to)?, |_| Some((HEADER, 4)))?,
            // The second one, of HS2.
            "receiver" => copy(message, frame(to)?, |_| Some((HEADER + 4, 4)))?,
            "payload" => copy(message, frame(to)?, |frame| {
                let at = key_at(frame)? + KEY;
                let end = if frame[5] == 1 { TAG } else { 0 };
                Some((at, frame.len() - at - end))
            })?,
            "key" => {
                let at = key_at(&message.overlay)?;
                let range = at..at + KEY;
                let key: Vec<u8> = match to {
                    "zero" => vec![0; KEY],
                    "no-point" => [&[4; 1][..], &[1; KEY - 1]].concat(),
                    "compressed" => {
                        let key = PublicKey::from_sec1_bytes(&message.overlay[range.clone()]);
                        let mut short = key.ok()?.to_sec1_point(true).as_bytes().to_vec();
                        short.resize(KEY, 0);
                        short
                    }
                    // The other point with the same x: all secrets made with it stay the same.
                    "negative" => {
                        let key = PublicKey::from_sec1_bytes(&message.overlay[range.clone()]);
                        let negative = PublicKey::from_affine((-key.ok()?.to_projective()).into());
                        uncompressed(&negative.ok()?)
                    }
                    other => match other.strip_prefix("identity-of-") {
                        Some(node) => uncompressed(&public(node)),
                        None => {
                            let other = &frame(other)?.overlay;
                            let at = key_at(other)?;
                            other.get(at..at + KEY)?.to_vec()
                        }
                    },
                };
                message.overlay.get_mut(range)?.copy_from_slice(&key);
            }
            _ => return None,
        }
        Some(())
    }
}

/// Where the ephemeral key stands in a handshake frame.
fn key_at(frame: &[u8]) -> Option<usize> {
    match frame[5] {
        1 => Some(HEADER + 4),
        2 => Some(HEADER + 8),
        _ => None,
    }
}

fn uncompressed(key: &PublicKey) -> Vec<u8> {
    key.to_sec1_point(false).as_bytes().to_vec()
}

/// Takes a part of another frame, of the same length.
fn copy(
    message: &mut OverlayMessage,
    from: &OverlayMessage,
    part: impl Fn(&[u8]) -> Option<(usize, usize)>,
) -> Option<()> {
    let (at, length) = part(&from.overlay)?;
    let bytes = from.overlay.get(at..at + length)?;
    let (at, length) = part(&message.overlay)?;
    let place = message.overlay.get_mut(at..at + length)?;
    (place.len() == bytes.len()).then(|| place.copy_from_slice(bytes))
}
