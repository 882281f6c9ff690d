use std::marker::PhantomData;

use crate::bindings::message_handler::exports::backchannel::n2n::handler as exported;
use crate::{Effect, Envelope, Failure, Message};

/// How a plugin treats one message of one of its kinds. Every call has a fresh instance: nothing is left of the
/// message before.
pub trait Handler {
    /// What [`handle`](Self::handle) found out, on its way to [`finalize`](Self::finalize).
    type Outcome: 'static;

    /// Reads, checks and waits for what the message needs, and changes nothing. May be cancelled while it waits.
    /// Limits: 1 s of CPU, 30 s of waiting.
    ///
    /// `None` when there is nothing to be done: the peer hears nothing.
    ///
    /// # Errors
    ///
    /// Says why the message cannot be treated. It goes to the node's log; the peer hears nothing.
    fn handle(envelope: Envelope, message: Message) -> Result<Option<Self::Outcome>, Failure>;

    /// Turns the outcome into effects. Never cancelled, so it waits for nothing. Limit: 100 ms of CPU.
    ///
    /// # Errors
    ///
    /// No effect is carried out; the failure goes to the node's log and the peer hears nothing.
    fn finalize(outcome: Self::Outcome) -> Result<Vec<Effect>, Failure>;
}

/// Makes a [`Handler`] the exports of this crate's component. To be used once, at the crate's root.
///
/// Outside wasm it only checks the type: the exports' names are none that a native linker takes.
#[macro_export]
macro_rules! export_handler {
    ($handler:ty) => {
        const _: () = {
            type Exported = $crate::HandlerOf<$handler>;
            const _: Option<Exported> = None;
            #[cfg(target_arch = "wasm32")]
            $crate::bindings::message_handler::export!(
                Exported with_types_in $crate::bindings::message_handler
            );
        };
    };
}

/// Stands for `H` towards the bindings.
#[doc(hidden)]
pub struct HandlerOf<H: Handler>(PhantomData<H>);

/// The exported resource: an outcome the host holds between the halves.
#[doc(hidden)]
pub struct OutcomeOf<H: Handler>(H::Outcome);

impl<H: Handler + 'static> exported::Guest for HandlerOf<H> {
    type Outcome = OutcomeOf<H>;

    fn handle(envelope: Envelope, message: Message) -> Result<Option<exported::Outcome>, Failure> {
        let outcome = H::handle(envelope, message)?;
        Ok(outcome.map(|outcome| exported::Outcome::new(OutcomeOf::<H>(outcome))))
    }
}

impl<H: Handler + 'static> exported::GuestOutcome for OutcomeOf<H> {
    fn finalize(this: exported::Outcome) -> Result<Vec<Effect>, Failure> {
        H::finalize(this.into_inner::<Self>().0)
    }
}
