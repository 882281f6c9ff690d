//! The wire between a node and its relay, in the test's hands.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// Passes bytes on between a node and its relay. What the node sends can be held, so that the relay hears no more of it.
pub struct Wire {
    /// Where the node finds its relay.
    pub address: String,
    held: Arc<Held>,
}

#[derive(Default)]
struct Held {
    held: Mutex<bool>,
    changed: Condvar,
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
                let gate = gate.clone();
                std::thread::spawn(move || pass_on(node, relay, || gate.wait()));
                std::thread::spawn(move || pass_on(from_relay, to_node, || ()));
            }
        });
        Self { address, held }
    }

    /// From now on nothing that the node sends arrives, until [`Self::release`].
    pub fn hold(&self) {
        self.held.set(true);
    }

    /// Lets through what is sent from now on, and what was held of connections that are still there.
    pub fn release(&self) {
        self.held.set(false);
    }
}

impl Held {
    fn set(&self, held: bool) {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = held;
        self.changed.notify_all();
    }

    fn wait(&self) {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let _open = self.changed.wait_while(held, |held| *held);
    }
}

/// Until either end is closed.
fn pass_on(mut from: TcpStream, mut to: TcpStream, wait: impl Fn()) {
    let mut buffer = [0; 1 << 14];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        wait();
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}
