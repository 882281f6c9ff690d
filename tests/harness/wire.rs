//! The wire between a node and its relay, in the test's hands.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Passes bytes on between a node and its relay. What the node sends can be held, so that the relay hears no more of it.
pub struct Wire {
    /// Where the node finds its relay.
    pub address: String,
    held: Arc<Held>,
}

#[derive(Default)]
struct Held {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    held: bool,
    /// How often it was cut: connections of before carry nothing any more.
    cuts: u32,
}

impl Wire {
    /// A wire to the relay at this address.
    pub fn to(relay: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let (held, relay) = (Arc::<Held>::default(), relay.to_owned());
        let gate = held.clone();
        // Ends with the test's process: it waits for a connection that never comes.
        std::thread::spawn(move || {
            for node in listener.incoming().map_while(Result::ok) {
                let Ok(relay) = TcpStream::connect(&relay) else {
                    continue;
                };
                let (Ok(to_node), Ok(from_relay)) = (node.try_clone(), relay.try_clone()) else {
                    continue;
                };
                let (gate, cuts) = (gate.clone(), gate.state().cuts);
                std::thread::spawn(move || pass_on(node, relay, || gate.passes(cuts)));
                std::thread::spawn(move || pass_on(from_relay, to_node, || true));
            }
        });
        Self { address, held }
    }

    /// From now on nothing that the node sends arrives, until [`Self::cut`].
    pub fn hold(&self) {
        self.held.state().held = true;
    }

    /// Lets connections through that are made from now on. What was held of others is lost, and so is what was still on its way.
    pub fn cut(&self) {
        let mut state = self.held.state();
        state.held = false;
        state.cuts += 1;
        drop(state);
        self.held.changed.notify_all();
    }
}

impl Held {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits while it is held; whether a connection made after so many cuts is one still.
    fn passes(&self, cuts: u32) -> bool {
        let open = self.changed.wait_while(self.state(), |state| state.held);
        open.unwrap_or_else(PoisonError::into_inner).cuts == cuts
    }
}

/// Until either end is closed, or nothing may pass any more.
fn pass_on(mut from: TcpStream, mut to: TcpStream, passes: impl Fn() -> bool) {
    let mut buffer = [0; 1 << 14];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        if !passes() || to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}
