use super::Failure;
use super::n2n::inputs;
use crate::handlers::Capability;
use crate::handlers::state::{CallState, Subject};
use crate::inputs::{Input, InputError};
use crate::tasks::blocking;
use crate::trace::Value;

impl inputs::Host for CallState {
    async fn vector(&mut self, name: String) -> wasmtime::Result<Result<Vec<f64>, Failure>> {
        let given = || vec![Value::Text(name.clone())];
        if let Some(played) = self.host_call_begins(Capability::Inputs, "vector", given)? {
            return Ok(played);
        }
        let numbers = self.numbers(&name).await;
        self.host_call_ends(&numbers);
        Ok(numbers)
    }
}

impl CallState {
    async fn numbers(&mut self, name: &str) -> Result<Vec<f64>, Failure> {
        let Subject::Part(part) = &self.subject else {
            return Err(Failure::Refused("inputs are for parts of a run".into()));
        };
        let input = part.secrets.input(name)?;
        let numbers = self.read(name, input, Input::numbers).await?;
        self.may_be_given(size_of_val(&*numbers))?;
        self.has_used_input(name, numbers.len());
        Ok(numbers)
    }

    /// Reads what is granted. The guest hears no more than whose fault it is; the log has the rest, for the operator.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        name: &str,
        input: Input,
        read: fn(&Input) -> Result<T, InputError>,
    ) -> Result<T, Failure> {
        let Some(read) = blocking(move || read(&input)).await else {
            return Err(Failure::Unavailable("the node is stopping".into()));
        };
        read.map_err(|why| {
            let (plugin, todo) = (&*self.plugin, why.advice());
            tracing::warn!(plugin, "its input {name} cannot be given: {why}; {todo}");
            match why {
                InputError::OtherKind(_) | InputError::TooFew(_) => {
                    Failure::Refused(why.to_string())
                }
                InputError::NotRead(_) => Failure::Unavailable("the input cannot be read".into()),
            }
        })
    }

    /// Whether a guest can be given so many bytes: it makes copies, as of a message.
    pub(super) fn may_be_given(&self, bytes: usize) -> Result<(), Failure> {
        if bytes <= self.limits.most_to_read() {
            return Ok(());
        }
        let why = "the input is larger than a quarter of memory-mib";
        Err(Failure::Refused(why.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::inputs::Host;
    use super::*;
    use crate::handlers::Limit;
    use crate::handlers::guests::{Guest, no_part, part, part_with};
    use crate::inputs::{Kind, Source};

    async fn asked(state: &mut CallState, name: &str) -> Result<Vec<f64>, Failure> {
        state.vector(name.into()).await.expect("no limit")
    }

    fn values(values: &[&str]) -> Vec<String> {
        values.iter().map(ToString::to_string).collect()
    }

    #[tokio::test]
    async fn a_handler_of_messages_is_given_none() {
        let plugin = Guest::default().load(&[]);
        let asked = asked(&mut no_part(&plugin), "ages").await;
        assert!(matches!(asked, Err(Failure::Refused(_))), "{asked:?}");
    }

    #[tokio::test]
    async fn what_is_not_granted_not_there_or_wrong_is_unavailable_and_the_guest_hears_no_more() {
        let plugin = Guest::default().load(&[]);
        let wrong = values(&["1", "secret-7"]);
        let mut state = part(&plugin, Kind::Numbers, &[("wrong", wrong)], 1);
        for name in ["other", "", "wrong", &"x".repeat(100_000)] {
            let Err(Failure::Unavailable(why)) = asked(&mut state, name).await else {
                panic!("{name}");
            };
            assert!(why.len() < 100 && !why.contains("secret"), "{why}");
        }
        let gone = Source::Vector("/no/such/file".into());
        let gone = Input::new(gone, Kind::Numbers, None).expect("in range");
        let gone = plugin.with_inputs([("gone".parse().expect("a name"), gone)].into());
        let mut state = part_with(&gone, 1);
        let asked = asked(&mut state, "gone").await;
        assert!(matches!(asked, Err(Failure::Unavailable(why)) if !why.contains("such/file")));
    }

    #[tokio::test]
    async fn too_few_rows_and_ids_are_refused() {
        let plugin = Guest::default().load(&[]);
        let mut state = part(&plugin, Kind::Numbers, &[("few", values(&["1"]))], 1);
        assert!(matches!(
            asked(&mut state, "few").await,
            Err(Failure::Refused(_))
        ));
        let mut state = part(&plugin, Kind::Ids, &[("ids", values(&["1", "2"]))], 1);
        assert!(matches!(
            asked(&mut state, "ids").await,
            Err(Failure::Refused(_))
        ));
        assert!(state.usage().inputs.is_empty());
    }

    #[tokio::test]
    async fn numbers_that_would_not_fit_are_refused() {
        let plugin = Guest::default().load(&[(Limit::MemoryMib, 1)]);
        let most = (1 << 18) / size_of::<f64>();
        let vectors = [
            ("fits", vec!["1".into(); most]),
            ("not", vec!["1".into(); most + 1]),
        ];
        let mut state = part(&plugin, Kind::Numbers, &vectors, 1);
        assert_eq!(
            asked(&mut state, "fits").await.map(|all| all.len()).ok(),
            Some(most)
        );
        assert!(matches!(
            asked(&mut state, "not").await,
            Err(Failure::Refused(_))
        ));
    }

    #[tokio::test]
    async fn a_part_is_given_its_numbers_in_their_order_and_that_is_noted() {
        let plugin = Guest::default().load(&[]);
        let ages = values(&["57.5", "-1", "57.5"]);
        let mut state = part(&plugin, Kind::Numbers, &[("ages", ages)], 1);
        assert_eq!(
            asked(&mut state, "ages").await.ok(),
            Some(vec![57.5, -1.0, 57.5])
        );
        assert_eq!(state.usage().inputs, [("ages".to_owned(), 3)].into());
    }
}
