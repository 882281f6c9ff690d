//! Taking memory, and lying about it.

use std::arch::wasm32::memory_grow;
use std::sync::Mutex;

use backchannel_sdk::bindings::message_handler::exports::backchannel::n2n::handler::Outcome;
use backchannel_sdk::{Effect, Failure};

use crate::Finale;

pub fn grow() -> Finale {
    let mut pages = 0_u64;
    while memory_grow(0, 16) != usize::MAX {
        pages += 16;
    }
    Finale::Show(pages.to_be_bytes().into())
}

/// A vector of `len` bytes, most of which nobody allocated.
pub fn claimed(len: usize) -> Vec<u8> {
    let mut start = vec![0_u8; 64 << 10];
    let pointer = start.as_mut_ptr();
    std::mem::forget(start);
    // SAFETY: none. The host must find out.
    unsafe { Vec::from_raw_parts(pointer, len, len) }
}

pub fn claim_a_gigabyte() -> Result<Vec<Effect>, Failure> {
    Ok(vec![Effect::Deliver(claimed(1 << 30))])
}

/// 2,000 lists of 1 MiB in 1 MiB of memory: 2 GB for a host that copies them.
pub fn return_one_buffer_often() -> Result<Vec<Effect>, Failure> {
    let mut buffer = vec![7_u8; 1 << 20];
    let (pointer, len) = (buffer.as_mut_ptr(), buffer.len());
    std::mem::forget(buffer);
    // SAFETY: none. They have the same bytes.
    let same = || unsafe { Vec::from_raw_parts(pointer, len, len) };
    Ok((0..2000).map(|_| Effect::Deliver(same())).collect())
}

pub fn failure_of_megabytes() -> Failure {
    Failure::refused("long ".repeat(4 << 20))
}

#[link(wasm_import_module = "[export]backchannel:n2n/handler@0.1.1")]
unsafe extern "C" {
    #[link_name = "[resource-new]outcome"]
    fn new_outcome(representation: u32) -> u32;
    #[link_name = "[resource-drop]outcome"]
    fn drop_outcome(handle: u32);
}

pub fn make_a_million_resources() -> Finale {
    for number in 0..1_000_000 {
        // SAFETY: nobody uses what it represents.
        unsafe { new_outcome(number) };
    }
    Finale::Show(b"a million resources".into())
}

pub fn forge_a_handle() -> Outcome {
    // SAFETY: none.
    unsafe { Outcome::from_handle(4242) }
}

/// A handle that this instance owns. What it represents has no destructor's worth of content.
fn own_handle() -> u32 {
    Outcome::new(Finale::Show(Vec::new())).take_handle()
}

pub fn drop_a_handle_twice() -> Finale {
    let handle = own_handle();
    // SAFETY: none, the second time.
    unsafe {
        drop_outcome(handle);
        drop_outcome(handle);
    }
    Finale::Show(b"dropped twice".into())
}

pub fn return_a_dropped_handle() -> Outcome {
    let handle = own_handle();
    // SAFETY: none.
    unsafe {
        drop_outcome(handle);
        Outcome::from_handle(handle)
    }
}

/// Keeps `new` for the next message, and gives what the one before left.
pub fn remember(new: Vec<u8>) -> Vec<u8> {
    static KEPT: Mutex<Vec<u8>> = Mutex::new(Vec::new());
    let mut kept = KEPT.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    std::mem::replace(&mut kept, new)
}
