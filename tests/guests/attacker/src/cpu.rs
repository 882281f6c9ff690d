//! Keeping the host busy, or waiting.

use std::hint::black_box;

use backchannel_sdk::{Effect, Failure, log, material};

use crate::Finale;

pub fn turn_for_ever() -> ! {
    loop {
        black_box(());
    }
}

pub fn turn_for_ever_in_finalize() -> Result<Vec<Effect>, Failure> {
    turn_for_ever()
}

pub fn recurse() -> Finale {
    fn deeper(depth: u64) -> u64 {
        if black_box(depth) == u64::MAX {
            return 0;
        }
        black_box(deeper(depth + 1)) + 1
    }
    Finale::Show(deeper(0).to_be_bytes().into())
}

pub fn call_the_host() -> Finale {
    for _ in 0..10_000_000 {
        log::debug("");
    }
    Finale::Show(b"ten million calls".into())
}

pub fn wait_for_ever() -> ! {
    loop {
        material::wait("a run that nobody sets up");
    }
}
