use std::cell::RefCell;
use std::marker::PhantomData;

use crate::bindings::multi_party::exports::backchannel::n2n::rounds as exported;
use crate::{Failure, Next, Start};

/// This node's part in a run that several parties go through together, round by round. One value lives for one run and is
/// dropped when it ends, however it ends.
///
/// All parties go through the same rounds. In each a party hands over what it has for the others, and gathers what they have
/// for it: [`next`](Self::next) says what, then [`accept`](Self::accept) is called for each parcel, then `next` again.
pub trait Part: Sized + 'static {
    /// Takes part. Changes nothing.
    ///
    /// # Errors
    ///
    /// Says why not; the researcher hears that this node does not take part.
    fn begin(start: Start) -> Result<Self, Failure>;

    /// The parcel of one party of the round's gather; in the order in which they come, one at a time.
    ///
    /// # Errors
    ///
    /// The run is given up, and on [`Failure::Malformed`] that party is blamed. A protocol that can do without a party says
    /// nothing and leaves it out itself.
    fn accept(&mut self, from: &str, body: &[u8]) -> Result<(), Failure>;

    /// The round is over, or the run begins: what is next. `missing` are those of the gather that had nothing for this party
    /// or were silent, in the order in which it named them.
    ///
    /// # Errors
    ///
    /// Ends the run; nobody is blamed. To blame somebody, return [`Next::blame`].
    fn next(&mut self, missing: &[String]) -> Result<Next, Failure>;
}

/// Makes a [`Part`] the export of this crate's component. To be used once, at the crate's root.
///
/// Outside wasm it only checks the type: the exports' names are none that a native linker takes.
#[macro_export]
macro_rules! export_rounds {
    ($part:ty) => {
        const _: () = {
            type Exported = $crate::PartOf<$part>;
            const _: Option<Exported> = None;
            #[cfg(target_arch = "wasm32")]
            $crate::bindings::multi_party::export!(
                Exported with_types_in $crate::bindings::multi_party
            );
        };
    };
}

/// Stands for `P` towards the bindings.
#[doc(hidden)]
pub struct PartOf<P: Part>(PhantomData<P>);

/// The exported resource: a part the host holds between rounds.
#[doc(hidden)]
pub struct HeldPart<P: Part>(RefCell<P>);

impl<P: Part> exported::Guest for PartOf<P> {
    type Part = HeldPart<P>;
}

// The component model lets no call into an instance that is in a call, so each of these borrows is the only one.
impl<P: Part> exported::GuestPart for HeldPart<P> {
    fn begin(start: Start) -> Result<exported::Part, Failure> {
        let part = P::begin(start)?;
        Ok(exported::Part::new(Self(RefCell::new(part))))
    }

    fn accept(&self, from: String, body: Vec<u8>) -> Result<(), Failure> {
        self.0.borrow_mut().accept(&from, &body)
    }

    fn next(&self, missing: Vec<String>) -> Result<Next, Failure> {
        self.0.borrow_mut().next(&missing)
    }
}
