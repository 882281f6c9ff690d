//! Attacks the host in the way that an `AttackRequest` names, one module for what the attacks are after.
//!
//! What the SDK would not let a handler do is done below it: on the bindings, and on the functions that those stand on.
#![cfg(target_arch = "wasm32")]
#![allow(unsafe_code, reason = "attacks break the rules that safe code keeps")]

mod authority;
mod cpu;
mod memory;
mod output;

use backchannel_sdk::bindings::message_handler::{self, exports::backchannel::n2n::handler};
use backchannel_sdk::{Bytes, Effect, Envelope, Failure, Message, Outgoing};
use serde::{Deserialize, Serialize};

/// Which attack, and what it needs to know.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Attack {
    attack: String,
    argument: Bytes,
}

/// What an attack that got through has to show.
#[derive(Serialize)]
struct Loot {
    loot: Bytes,
}

/// What is left for `finalize`.
enum Finale {
    /// Tell the sender what was found.
    Show(Vec<u8>),
    /// Return these.
    Effects(Vec<Effect>),
    /// Attack there.
    Attack(fn() -> Result<Vec<Effect>, Failure>),
}

struct Attacker;

impl handler::Guest for Attacker {
    type Outcome = Finale;

    fn handle(envelope: Envelope, message: Message) -> Result<Option<handler::Outcome>, Failure> {
        if message.kind == "AttackReply" {
            let finale = Finale::Effects(vec![Effect::Deliver(message.fields)]);
            return Ok(Some(handler::Outcome::new(finale)));
        }
        let Attack { attack, argument } = message.fields()?;
        let argument = argument.0;
        let finale = match attack.as_str() {
            "peace" => Finale::Show(argument),
            "loop" => cpu::turn_for_ever(),
            "loop-in-finalize" => Finale::Attack(cpu::turn_for_ever_in_finalize),
            "recurse" => cpu::recurse(),
            "host-calls" => cpu::call_the_host(),
            "wait" => cpu::wait_for_ever(),
            "grow-memory" => memory::grow(),
            "gigabyte-list" => Finale::Attack(memory::claim_a_gigabyte),
            "aliased-lists" => Finale::Attack(memory::return_one_buffer_often),
            "long-failure" => return Err(memory::failure_of_megabytes()),
            "resources" => memory::make_a_million_resources(),
            "forged-handle" => return Ok(Some(memory::forge_a_handle())),
            "dropped-twice" => memory::drop_a_handle_twice(),
            "dropped-then-returned" => return Ok(Some(memory::return_a_dropped_handle())),
            "remember" => Finale::Show(memory::remember(argument)),
            "log-flood" => output::flood_the_log(),
            "log-gigabyte" => output::log_a_gigabyte(),
            "log-megabytes" => output::log_megabytes(),
            "log-escapes" => output::log_escapes(&argument),
            "many-effects" => Finale::Attack(output::return_ten_thousand_effects),
            "two-replies" => Finale::Attack(output::reply_twice),
            "huge-reply" => Finale::Attack(output::reply_with_100_mib),
            "large-reply" => Finale::Attack(output::reply_with_megabytes),
            "other-receiver" => authority::reply_elsewhere(&argument)?,
            "other-sender" => authority::reply_as(&argument)?,
            "other-kind" => authority::reply_as_another_plugin()?,
            "unasked" => Finale::Effects(vec![Effect::Deliver(argument)]),
            "peer-key" => Finale::Effects(vec![Effect::SetPeerKey(argument)]),
            "own-key" => Finale::Show(backchannel_sdk::channel_keys::own_public_key()?),
            "store-megabytes" => Finale::Effects(vec![output::entry("large", vec![7; 2 << 20])]),
            "store-many-keys" => Finale::Effects(output::many_entries()),
            "store" => Finale::Effects(vec![output::entry("secret", argument)]),
            "other-store" => Finale::Show(authority::read_store()?),
            "other-run" => authority::read_run(argument),
            "publish" => authority::publish(argument),
            "establish" => authority::establish(&envelope.source, argument),
            "panic" => panic!("on purpose"),
            "panic-in-finalize" => Finale::Attack(|| panic!("on purpose, in the second half")),
            "fail-in-finalize" => Finale::Attack(|| Err(Failure::refused("on purpose"))),
            _ => return Err(Failure::malformed("there is no such attack")),
        };
        Ok(Some(handler::Outcome::new(finale)))
    }
}

impl handler::GuestOutcome for Finale {
    fn finalize(this: handler::Outcome) -> Result<Vec<Effect>, Failure> {
        match this.into_inner::<Self>() {
            Self::Show(loot) => show(loot),
            Self::Effects(effects) => Ok(effects),
            Self::Attack(attack) => attack(),
        }
    }
}

fn show(loot: Vec<u8>) -> Result<Vec<Effect>, Failure> {
    let loot = Loot { loot: loot.into() };
    Ok(vec![Effect::Reply(Outgoing::new("AttackReply", &loot)?)])
}

message_handler::export!(Attacker with_types_in message_handler);
