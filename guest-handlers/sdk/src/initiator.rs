use std::cell::RefCell;
use std::marker::PhantomData;

use crate::bindings::initiator::exports::backchannel::n2n::initiator as exported;
use crate::{Answer, Failure, Setup, Step};

/// A run that this node begins because a researcher asked for a set-up: rounds of requests to the other parties.
/// One value lives for one run and is dropped when it ends, however it ends.
pub trait Initiator: Sized + 'static {
    /// Begins a run. Changes nothing.
    ///
    /// # Errors
    ///
    /// Says why this set-up cannot be done; the host tells the researcher that it failed.
    fn begin(setup: Setup) -> Result<Self, Failure>;

    /// The next round: effects to be carried out, then requests to be sent. The run is finished when nobody is asked.
    /// `answers` are those of the round before in the order they were asked, none at first. Waits for nothing.
    ///
    /// # Errors
    ///
    /// Ends the run; the host tells the researcher that the set-up failed.
    fn step(&mut self, answers: Vec<Answer>) -> Result<Step, Failure>;
}

impl Setup {
    /// The parties other than this node, in the researcher's order.
    pub fn others(&self) -> impl Iterator<Item = &str> {
        let parties = self.parties.iter().map(String::as_str);
        parties.filter(|party| *party != self.node_id)
    }
}

/// Makes a [`Handler`](crate::Handler) and an [`Initiator`] the exports of this crate's component. To be used once,
/// at the crate's root, in place of [`export_handler!`](crate::export_handler).
#[macro_export]
macro_rules! export_protocol {
    ($handler:ty, $initiator:ty) => {
        $crate::export_handler!($handler);
        const _: () = {
            type Exported = $crate::InitiatorOf<$initiator>;
            const _: Option<Exported> = None;
            #[cfg(target_arch = "wasm32")]
            $crate::bindings::initiator::export!(
                Exported with_types_in $crate::bindings::initiator
            );
        };
    };
}

/// Stands for `I` towards the bindings.
#[doc(hidden)]
pub struct InitiatorOf<I: Initiator>(PhantomData<I>);

/// The exported resource: a run the host holds between rounds.
#[doc(hidden)]
pub struct RunOf<I: Initiator>(RefCell<I>);

impl<I: Initiator> exported::Guest for InitiatorOf<I> {
    type Run = RunOf<I>;
}

impl<I: Initiator> exported::GuestRun for RunOf<I> {
    fn begin(setup: Setup) -> Result<exported::Run, Failure> {
        let run = I::begin(setup)?;
        Ok(exported::Run::new(Self(RefCell::new(run))))
    }

    fn step(&self, answers: Vec<Answer>) -> Result<Step, Failure> {
        // The component model lets no call into an instance that is in a call, so this borrow is the only one.
        self.0.borrow_mut().step(answers)
    }
}
