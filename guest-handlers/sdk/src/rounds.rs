//! What a [`Part`](crate::Part) is given and says, in few words.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Blame, Entry, Failure, Gather, Next, Parcel, Round, Start, fields};

impl Start {
    /// The parties other than this node, in the researcher's order.
    pub fn others(&self) -> impl Iterator<Item = &str> {
        let parties = self.parties.iter().map(String::as_str);
        parties.filter(|party| *party != self.node_id)
    }

    /// The researcher's parameters, as `T` describes them. Give `T` the attribute `#[serde(deny_unknown_fields)]`, so that a
    /// misspelt parameter is not passed over.
    ///
    /// # Errors
    ///
    /// [`Failure::Malformed`] when they are anything else than one MessagePack map of what `T` names.
    pub fn params<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        fields::decode(&self.params)
    }
}

impl Round {
    /// A round that hands over nothing and waits for nobody.
    pub fn new() -> Self {
        Self {
            store: Vec::new(),
            broadcast: None,
            parcels: Vec::new(),
            gather: Gather {
                from: Vec::new(),
                quorum: 0,
                seconds: 1,
            },
        }
    }

    /// Hands a struct or map to every other party, but those that [`hand`](Self::hand) names.
    ///
    /// # Errors
    ///
    /// [`Failure::Unavailable`] when `parcel` is neither, or serde cannot write it.
    pub fn tell<T: Serialize>(mut self, parcel: &T) -> Result<Self, Failure> {
        self.broadcast = Some(fields::encode(parcel)?);
        Ok(self)
    }

    /// Hands a struct or map to one other party; once a round for each.
    ///
    /// # Errors
    ///
    /// [`Failure::Unavailable`] when `parcel` is neither, or serde cannot write it.
    pub fn hand<T: Serialize>(mut self, to: &str, parcel: &T) -> Result<Self, Failure> {
        self.parcels.push(Parcel {
            to: to.to_owned(),
            body: fields::encode(parcel)?,
        });
        Ok(self)
    }

    /// Waits for the parcels of `from`, other parties, for up to `seconds` (1 to 600), and needs all of them.
    pub fn gather<N: Into<String>>(
        mut self,
        from: impl IntoIterator<Item = N>,
        seconds: u32,
    ) -> Self {
        let from: Vec<String> = from.into_iter().map(Into::into).collect();
        self.gather = Gather {
            quorum: u32::try_from(from.len()).unwrap_or(u32::MAX),
            from,
            seconds,
        };
        self
    }

    /// Needs so many of those that it gathers from, and not all.
    pub fn quorum(mut self, quorum: usize) -> Self {
        self.gather.quorum = u32::try_from(quorum).unwrap_or(u32::MAX);
        self
    }

    /// Changes an entry of the plugin's own, before a parcel leaves.
    pub fn keep(mut self, entry: Entry) -> Self {
        self.store.push(entry);
        self
    }
}

impl Default for Round {
    fn default() -> Self {
        Self::new()
    }
}

impl From<Round> for Next {
    fn from(round: Round) -> Self {
        Self::Round(round)
    }
}

impl Next {
    /// The run is finished: a struct or map for the researcher.
    ///
    /// # Errors
    ///
    /// [`Failure::Unavailable`] when `result` is neither, or serde cannot write it.
    pub fn done<T: Serialize>(result: &T) -> Result<Self, Failure> {
        Ok(Self::Done(fields::encode(result)?))
    }

    /// The run is given up, because `parties` broke the protocol. `why` is shown to the researcher, so nothing secret.
    pub fn blame<N: Into<String>>(
        parties: impl IntoIterator<Item = N>,
        why: impl Into<String>,
    ) -> Self {
        Self::Abort(Blame {
            parties: parties.into_iter().map(Into::into).collect(),
            why: why.into(),
        })
    }

    /// The run is given up, and it cannot be told through whose fault.
    pub fn give_up(why: impl Into<String>) -> Self {
        Self::blame([""; 0], why)
    }
}
