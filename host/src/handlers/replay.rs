//! A recorded instance run again: the same calls with the same inputs, imports answered as they were then.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::call::fuel_of;
use super::{
    Envelope, Hardship, Limit, Message, Plugin, Recorder, Run, Services, Setup, Strain,
    assurance_of,
};
use crate::key_store::StoreError;
use crate::message::{IdError, NodeId};
use crate::trace::{Call, Ended, Entry, Incoming, RunOf, Session, Work};

/// Why a recording cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The recording's: a name in it is none.
    #[error("{0}")]
    Id(#[from] IdError),
    /// The recording's: a word that the contract does not have.
    #[error("{0:?} is not a word of the contract")]
    Word(String),
    /// Ours.
    #[error("{0}")]
    Store(#[from] StoreError),
}

impl Plugin {
    /// Runs what was recorded of an instance again, with this plugin: hands back what it does now. It reaches nothing of any
    /// node. A call that was made then is made now, if what came before allows it.
    pub async fn replay(self: &Arc<Self>, session: &Session) -> Result<Session, ReplayError> {
        let told = Arc::new(Mutex::new(None));
        let tell = told.clone();
        let node = NodeId::try_from(session.node.as_str())?;
        let mut services = Services::blank(&node, 0)?;
        services.recorder = Recorder::playing(session.clone(), move |_, session| {
            *tell.lock().unwrap_or_else(PoisonError::into_inner) = Some(session);
        });
        let suffered = session.calls.iter().map(|call| self.hardship(call));
        let mut suffered: Vec<_> = suffered.rev().collect();
        services.strain = Strain::of(move || suffered.pop().unwrap_or_default(), |_| {});
        match &session.work {
            Work::Message(incoming) => self.handle_again(session, incoming, services).await?,
            Work::Run(run) => self.run_again(session, run, node, services).await?,
        }
        let told = told.lock().unwrap_or_else(PoisonError::into_inner).take();
        // Nothing is told of what is not begun, as it is more than the plugin is given to read.
        Ok(told.unwrap_or_else(|| Session {
            calls: Vec::new(),
            ..session.clone()
        }))
    }

    async fn handle_again(
        self: &Arc<Self>,
        session: &Session,
        incoming: &Incoming,
        services: Services,
    ) -> Result<(), ReplayError> {
        let word = || ReplayError::Word(incoming.assurance.clone());
        let envelope = Envelope {
            researcher_id: incoming.researcher.clone(),
            source: incoming.source.clone(),
            setup: incoming.setup,
            assurance: assurance_of(&incoming.assurance).ok_or_else(word)?,
        };
        let message = Message {
            kind: incoming.kind.clone(),
            request_id: incoming.request.clone(),
            fields: incoming.fields.stand_in(),
        };
        let handled = self.handle(&services, envelope, message).await;
        let finalized = session.calls.len() > 1;
        if let (Ok(Some(found)), true) = (handled.result, finalized) {
            // What it came to is told to the recorder.
            let _ = found.finalize().await;
        }
        Ok(())
    }

    async fn run_again(
        self: &Arc<Self>,
        session: &Session,
        run: &RunOf,
        own: NodeId,
        services: Services,
    ) -> Result<(), ReplayError> {
        let kind = Setup::KINDS.into_iter().find(|kind| *kind == run.kind);
        let kind = kind.ok_or_else(|| ReplayError::Word(run.kind.clone()))?;
        let parties = run
            .parties
            .iter()
            .map(|party| NodeId::try_from(party.as_str()));
        let setup = Setup {
            kind,
            researcher: run.researcher.as_str().try_into()?,
            run: run.run.as_str().try_into()?,
            experiment: run.experiment.as_str().try_into()?,
            own,
            parties: parties.collect::<Result<_, _>>()?,
        };
        let Ok(mut begun) = Run::begin(self, services, &setup).await.result else {
            return Ok(());
        };
        for call in session.calls.iter().skip(1) {
            let Entry::Step(answers) = &call.entry else {
                return Err(ReplayError::Word("a call in a run that is no step".into()));
            };
            let answers = answers.iter().map(|answer| {
                let from = NodeId::try_from(answer.from.as_str())?;
                Ok((from, answer.body.stand_in().into()))
            });
            let answers = answers.collect::<Result<_, IdError>>()?;
            if begun.step(answers).await.result.is_err() {
                break;
            }
        }
        Ok(())
    }

    /// What made a call end that a simulation stopped: fewer instructions than it may have, or that it stood still. A call that
    /// came to its limit by itself does so again.
    fn hardship(&self, call: &Call) -> Hardship {
        let none = Hardship::default();
        let (Ended::Stopped(why), Some(fuel)) = (&call.ended, call.cost.fuel) else {
            return none;
        };
        let over = |limits: [Limit; 2]| limits.into_iter().find(|limit| why.contains(limit.name()));
        let cpu = over([Limit::HandleCpuMs, Limit::FinalCpuMs]);
        let wall = over([Limit::HandleWallMs, Limit::FinalWallMs]);
        if cpu.is_some_and(|cpu| fuel < fuel_of(self, cpu)) {
            Hardship {
                instructions: Some(fuel),
                ..none
            }
        } else if wall.is_some() && fuel == 0 && call.host_calls.is_empty() {
            Hardship {
                stalls: Duration::MAX,
                ..none
            }
        } else {
            none
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Runtime;
    use super::super::guests::{Guest, LOG};
    use super::*;
    use crate::trace::{Call, Cost, Ended, HostCall, Value};

    /// Asks its store for the key `no` and finds something.
    fn asking() -> Arc<Plugin> {
        let guest = Guest {
            imports: r#"(import "backchannel:n2n/store@0.1.1" "get" (func $get (param i32 i32 i32)))"#,
            module: r#"(data (i32.const 1000) "no")"#,
            handle: "(call $get (i32.const 1000) (i32.const 2) (i32.const 2000))",
            ..Guest::default()
        };
        guest.load(&[])
    }

    fn session(host_calls: Vec<HostCall>) -> Session {
        Session {
            node: "me".into(),
            plugin: "guest".into(),
            digest: String::new(),
            work: Work::Message(Incoming {
                id: None,
                researcher: "r".into(),
                source: "peer".into(),
                setup: false,
                assurance: "channel-key".into(),
                kind: "Kind".into(),
                request: None,
                fields: vec![0x80].into(),
            }),
            calls: vec![
                Call {
                    at: 0,
                    entry: Entry::Handle,
                    host_calls,
                    ended: Ended::Found,
                    cost: Cost::default(),
                },
                Call {
                    at: 0,
                    entry: Entry::Finalize,
                    host_calls: vec![],
                    ended: Ended::Effects {
                        effects: vec![],
                        ask: vec![],
                    },
                    cost: Cost::default(),
                },
            ],
        }
    }

    fn get(key: &str, result: Value) -> HostCall {
        HostCall {
            import: "store.get".into(),
            given: vec![Value::Text(key.into())],
            result,
        }
    }

    #[tokio::test]
    async fn a_call_that_is_not_in_the_recording_ends_the_instance() {
        for recorded in [vec![], vec![get("other", Value::None)]] {
            let again = asking().replay(&session(recorded)).await.expect("replayed");

            assert_eq!(again.calls.len(), 1);
            let Ended::Stopped(why) = &again.calls[0].ended else {
                panic!("{again:?}");
            };
            assert!(
                why.contains("store.get(\"no\"), which is not in the recording"),
                "{why}"
            );
        }
    }

    #[tokio::test]
    async fn a_call_that_never_came_back_ends_where_it_did() {
        let recorded = session(vec![get("no", Value::Unanswered)]);

        let again = asking().replay(&recorded).await.expect("replayed");

        assert_eq!(again.calls[0].ended, Ended::Cancelled);
    }

    #[tokio::test]
    async fn a_wait_that_the_clock_ended_ends_so_again() {
        let mut recorded = session(vec![get("no", Value::Unanswered)]);
        let stopped = Ended::Stopped("guest was stopped at its limit handle-wall-ms".into());
        recorded.calls[0].ended = stopped.clone();

        let again = asking().replay(&recorded).await.expect("replayed");

        assert_eq!(again.calls[0].ended, stopped);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_a_simulation_stopped_is_stopped_at_the_same_instruction() {
        for (limit, fuel) in [(Limit::HandleCpuMs, 5), (Limit::HandleWallMs, 0)] {
            let mut recorded = session(vec![]);
            let stopped = format!("guest was stopped at its limit {}", limit.name());
            recorded.calls[0].ended = Ended::Stopped(stopped);
            recorded.calls[0].cost.fuel = Some(fuel);
            let runtime = Runtime::metered().expect("an engine");
            let plugin = Guest::default().load_on(&runtime, &[]);

            let again = plugin.replay(&recorded).await.expect("replayed");

            let Ended::Stopped(why) = &again.calls[0].ended else {
                panic!("{again:?}");
            };
            assert!(why.contains(limit.name()), "{why}");
            assert_eq!(again.calls[0].cost.fuel, Some(fuel));
        }
    }

    #[tokio::test]
    async fn the_same_plugin_does_the_same_again() {
        let recorded = session(vec![get("no", Value::Bytes(vec![1, 2, 3].into()))]);

        let again = asking().replay(&recorded).await.expect("replayed");

        assert_eq!(again.calls.len(), 2);
        for (then, now) in recorded.calls.iter().zip(&again.calls) {
            assert_eq!(
                (&then.ended, &then.host_calls),
                (&now.ended, &now.host_calls)
            );
        }
    }

    #[tokio::test]
    async fn refuses_words_that_the_contract_does_not_have() {
        let mut recorded = session(vec![]);
        let Work::Message(incoming) = &mut recorded.work else {
            panic!("a message");
        };
        incoming.assurance = "certain".into();

        let refused = asking().replay(&recorded).await;

        assert!(matches!(refused, Err(ReplayError::Word(_))));
    }

    #[tokio::test]
    async fn an_instance_is_told_of_with_its_host_calls_and_what_it_came_to() {
        let guest = Guest {
            imports: LOG,
            module: r#"(data (i32.const 1000) "hello")"#,
            handle: "(call $log (i32.const 1) (i32.const 1000) (i32.const 5))",
            ..Guest::default()
        };
        let line = HostCall {
            import: "log.write".into(),
            given: vec![Value::Text("info".into()), Value::Text("hello".into())],
            result: Value::None,
        };

        let again = guest.load(&[]).replay(&session(vec![line.clone()])).await;

        let again = again.expect("replayed");
        assert_eq!(again.calls[0].host_calls, [line]);
        assert_eq!(again.calls[0].ended, Ended::Found);
        assert!(again.calls[0].cost.memory > 0);
    }
}
