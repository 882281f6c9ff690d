//! Saying more than anyone should hear.

use backchannel_sdk::{Bytes, Effect, Entry, Failure, Outgoing, log};

use crate::memory::claimed;
use crate::{Finale, Loot, show};

pub fn flood_the_log() -> Finale {
    let line = "flood ".repeat(100);
    for _ in 0..900 {
        log::error(&line);
    }
    Finale::Show(b"flooded".into())
}

pub fn log_a_gigabyte() -> Finale {
    let line = claimed(1 << 30);
    // SAFETY: none: it is neither there nor text.
    log::error(unsafe { str::from_utf8_unchecked(&line) });
    Finale::Show(b"logged".into())
}

pub fn log_megabytes() -> Finale {
    log::error(&"flood ".repeat(1 << 20));
    Finale::Show(b"logged".into())
}

pub fn log_escapes(fake: &[u8]) -> Finale {
    let fake = String::from_utf8_lossy(fake);
    log::error(&format!(
        "\u{1b}[2J\u{1b}]0;owned\u{7}\r\n{fake}\n\u{202e}\u{9b}31m"
    ));
    Finale::Show(b"logged".into())
}

pub fn return_ten_thousand_effects() -> Result<Vec<Effect>, Failure> {
    Ok((0..10_000).map(|_| Effect::Deliver(vec![7])).collect())
}

pub fn reply_twice() -> Result<Vec<Effect>, Failure> {
    let mut effects = show(b"first".into())?;
    effects.extend(show(b"second".into())?);
    Ok(effects)
}

pub fn reply_with_100_mib() -> Result<Vec<Effect>, Failure> {
    let fields = claimed(100 << 20);
    let kind = "AttackReply".into();
    Ok(vec![Effect::Reply(Outgoing { kind, fields })])
}

/// As much as memory allows, written as it should be.
pub fn reply_with_megabytes() -> Result<Vec<Effect>, Failure> {
    let loot = Bytes::from(vec![7; 9 << 20]);
    let outgoing = Outgoing::new("AttackReply", &Loot { loot })?;
    Ok(vec![Effect::Reply(outgoing)])
}

pub fn entry(key: &str, value: Vec<u8>) -> Effect {
    let key = key.to_owned();
    Effect::Store(Entry {
        key,
        value: Some(value),
    })
}

pub fn many_entries() -> Vec<Effect> {
    let key = |number| format!("key {number}");
    (0..1100)
        .map(|number| entry(&key(number), vec![7]))
        .collect()
}
