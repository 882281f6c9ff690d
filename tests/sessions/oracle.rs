//! What may be taken of what a relay hands over, said without a look at how it is decided: what a node made, as it made it, where it
//! was meant to go, and once.

use backchannel::message::{Inner, NodeId, OverlayMessage};
use backchannel::sessions::{Opened, Suite};

use crate::stage::hello;

/// All that nodes made, and what became of it.
pub struct Oracle {
    /// In which they talk.
    suite: Suite,
    made: Vec<Made>,
}

struct Made {
    message: OverlayMessage,
    /// What is said, if it is a message that says something.
    content: Option<Inner>,
    /// In which of its receiver's lives it was taken: a handshake that is begun may be answered again after a restart.
    taken: Vec<u32>,
}

impl Oracle {
    /// Of nodes that talk in this suite, and have made nothing yet.
    pub fn new(suite: Suite) -> Self {
        let made = Vec::new();
        Self { suite, made }
    }

    /// A node made this, and says this with it.
    pub fn made(&mut self, message: &OverlayMessage, content: Option<Inner>) {
        self.made.push(Made {
            message: message.clone(),
            content,
            taken: Vec::new(),
        });
    }

    /// A node took what the relay handed to it, in this of its lives. Errors: it should not have.
    pub fn judge(
        &mut self,
        by: &NodeId,
        life: u32,
        message: &OverlayMessage,
        opened: &Opened,
    ) -> Result<(), String> {
        let made = self.made.iter_mut().find(|made| made.message == *message);
        let made = made.ok_or("nobody made what was taken, as it is")?;
        if message.dest != *by {
            return Err("it is for another node".into());
        }
        let again = match opened {
            Opened::Answer(_) => made.taken.contains(&life),
            _ => !made.taken.is_empty(),
        };
        if again {
            return Err("it was taken before".into());
        }
        made.taken.push(life);
        let heard = match opened {
            Opened::Message { inner, .. } => Some(inner),
            _ => None,
        };
        if heard != made.content.as_ref() {
            return Err("it says something else than was said".into());
        }
        let should = (self.suite, hello(message.source.as_str()));
        let agreed = match opened {
            Opened::Message { established, .. } | Opened::Nothing { established } => {
                established.as_ref()
            }
            Opened::Established { agreed, .. } => Some(agreed),
            Opened::Answer(_) | Opened::Closed => None,
        };
        match agreed.is_none_or(|agreed| (agreed.suite, agreed.peer) == should) {
            true => Ok(()),
            false => Err("that was never agreed with the peer".into()),
        }
    }
}
