//! What a `Node` gives for each capability, where the contract lets it.

pub(crate) mod material {
    use super::super::{Phase, current};

    pub(crate) fn wait(run: &str) -> Option<Vec<u8>> {
        current(|held, phase| match phase {
            Phase::Handle => held.material.get(run).cloned(),
            Phase::Finalize | Phase::Run | Phase::Part => None,
        })?
    }
}

pub(crate) mod channel_keys {
    use super::super::{Phase, current, no_node};
    use crate::Failure;

    pub(crate) fn own_public_key() -> Result<Vec<u8>, Failure> {
        current(|held, phase| match (phase, &held.channel_key) {
            (Phase::Run | Phase::Part, _) => Err(Failure::refused("no message at hand")),
            (_, Some(pem)) => Ok(pem.clone()),
            (_, None) => Err(Failure::unavailable("the node has no channel key")),
        })
        .unwrap_or_else(no_node)
    }
}

pub(crate) mod agreement {
    use super::super::{Phase, current, no_node};
    use crate::Failure;

    pub(crate) fn public_key() -> Result<Vec<u8>, Failure> {
        current(|held, phase| match (phase, &held.run_key) {
            (Phase::Run, Some(pem)) => Ok(pem.clone()),
            (Phase::Run, None) => Err(Failure::unavailable("the node has no run key")),
            _ => Err(Failure::refused("no run at hand")),
        })
        .unwrap_or_else(no_node)
    }
}

pub(crate) mod sharing {
    use super::super::{Phase, current, no_node};
    use crate::Failure;

    pub(crate) fn share_for(peer: &str) -> Result<Vec<u8>, Failure> {
        current(|held, phase| match (phase, held.shares.get(peer)) {
            (Phase::Run, Some(share)) => Ok(share.clone()),
            (Phase::Run, None) => Err(Failure::refused(format!("{peer} is not another party"))),
            _ => Err(Failure::refused("no run at hand")),
        })
        .unwrap_or_else(no_node)
    }
}

pub(crate) mod store {
    use super::super::{current, no_node};
    use crate::Failure;

    pub(crate) fn get(key: &str) -> Result<Option<Vec<u8>>, Failure> {
        current(|held, _| Ok(held.entries.get(key).cloned())).unwrap_or_else(no_node)
    }

    pub(crate) fn keys(prefix: &str) -> Result<Vec<String>, Failure> {
        current(|held, _| {
            let keys = held.entries.keys().filter(|key| key.starts_with(prefix));
            Ok(keys.cloned().collect())
        })
        .unwrap_or_else(no_node)
    }
}

pub(crate) mod random {
    use super::super::{Holdings, current, no_node};
    use crate::Failure;

    /// Other bytes at each call of a node, and the same in each run of a test.
    pub(crate) fn bytes(count: u32) -> Result<Vec<u8>, Failure> {
        if count > 4096 {
            return Err(Failure::refused("at most 4096 bytes a call"));
        }
        current(|held, _| Ok((0..count).map(|_| byte(held)).collect())).unwrap_or_else(no_node)
    }

    pub(super) fn byte(held: &mut Holdings) -> u8 {
        // SplitMix64 (Steele, Lea and Flood, 2014), one step of its state a byte.
        held.drawn = held.drawn.wrapping_add(1);
        let drawn = held.drawn.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mixed = (drawn ^ (drawn >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed >> 56) as u8
    }
}

pub(crate) mod inputs {
    use super::super::{Phase, current, no_node};
    use crate::Failure;

    pub(crate) fn vector(name: &str) -> Result<Vec<f64>, Failure> {
        current(|held, phase| match (phase, held.vectors.get(name)) {
            (Phase::Part, Some(numbers)) => Ok(numbers.clone()),
            (Phase::Part, None) if held.ids.contains_key(name) => {
                Err(Failure::refused(format!("{name} holds ids")))
            }
            (Phase::Part, None) => Err(Failure::unavailable(format!("there is no input {name}"))),
            _ => Err(Failure::refused("no rounds at hand")),
        })
        .unwrap_or_else(no_node)
    }
}

pub(crate) mod blinding {
    use super::super::{Holdings, Phase, current, curve, no_node, random};
    use crate::Failure;
    use crate::blinding::POINT;

    pub(crate) fn ids(input: &str) -> Result<Vec<u8>, Failure> {
        current(|held, phase| {
            let scalar = secret(held, phase)?;
            let Some(ids) = held.ids.get(input) else {
                return Err(match held.vectors.contains_key(input) {
                    true => Failure::refused(format!("{input} holds numbers")),
                    false => Failure::unavailable(format!("there is no input {input}")),
                });
            };
            let points = ids.iter().map(|id| curve::id(id, &scalar));
            let points = points.collect::<Result<_, _>>()?;
            Ok(shuffled(points, held))
        })
        .unwrap_or_else(no_node)
    }

    pub(crate) fn points(points: &[u8]) -> Result<Vec<u8>, Failure> {
        current(|held, phase| {
            let points = curve::points(points, &secret(held, phase)?)?;
            Ok(shuffled(points, held))
        })
        .unwrap_or_else(no_node)
    }

    /// The scalar of the run: drawn at the first call. A node of a test has one run that blinds.
    fn secret(held: &mut Holdings, phase: Phase) -> Result<p256::Scalar, Failure> {
        if phase != Phase::Part {
            return Err(Failure::refused("no rounds at hand"));
        }
        if held.blinding.is_none() {
            let drawn: Vec<u8> = (0..31).map(|_| random::byte(held)).collect();
            held.blinding = Some(curve::scalar(&drawn));
        }
        held.blinding
            .ok_or_else(|| Failure::unavailable("no scalar"))
    }

    fn shuffled(mut points: Vec<[u8; POINT]>, held: &mut Holdings) -> Vec<u8> {
        // Sorting by drawn keys. The points go in sorted first, so that the order says nothing of what they were made of.
        points.sort_unstable();
        points.sort_by_cached_key(|_| [(); 8].map(|()| random::byte(held)));
        points.concat()
    }
}

pub(crate) mod log {
    use super::super::current;
    use crate::log::Level;

    pub(crate) fn write(level: Level, text: &str) {
        current(|held, _| held.log.push((level, text.to_owned())));
    }
}
