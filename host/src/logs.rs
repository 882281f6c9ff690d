//! The log as it is shown over the control socket: the last lines, and those that come.
//!
//! A layer of `tracing` that keeps what is also written to standard error. A reader that does not keep up is told how many lines
//! it missed; it never holds up the node.

use std::collections::VecDeque;
use std::fmt::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use tokio::sync::broadcast;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber, span};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use crate::message::one_line;

/// Lines kept.
const MOST: usize = 2000;
/// The longest line, in bytes.
const LONGEST: usize = 2000;
/// Lines that a reader may be behind.
const BEHIND: usize = 1000;

/// The log of this process. Clones are the same log.
#[derive(Clone)]
pub struct Logs {
    kept: Arc<Mutex<VecDeque<Arc<Line>>>>,
    live: broadcast::Sender<Arc<Line>>,
}

/// A line of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// When it was written.
    pub at: SystemTime,
    /// How grave it is: `ERROR` to `TRACE`.
    pub level: Level,
    /// The part of the program.
    pub target: String,
    /// The plugin that wrote it, or that it is about.
    pub plugin: Option<String>,
    /// The message that it is about.
    pub message: Option<String>,
    /// The line itself, with its fields.
    pub text: String,
}

impl Default for Logs {
    fn default() -> Self {
        Self {
            kept: Arc::default(),
            live: broadcast::channel(BEHIND).0,
        }
    }
}

impl Logs {
    /// The lines kept, the oldest first, and a receiver of those that come after.
    pub fn kept_and_live(&self) -> (Vec<Arc<Line>>, broadcast::Receiver<Arc<Line>>) {
        // Under one lock, so that no line is in both or in neither.
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        (kept.iter().cloned().collect(), self.live.subscribe())
    }

    fn push(&self, line: Line) {
        let line = Arc::new(line);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MOST {
            kept.pop_front();
        }
        kept.push_back(line.clone());
        // Nobody may listen.
        let _ = self.live.send(line);
    }
}

/// What a span says of the lines within it.
#[derive(Default)]
struct Named(Fields);

#[derive(Default, Clone)]
struct Fields {
    text: String,
    others: String,
    plugin: Option<String>,
    message: Option<String>,
}

impl Fields {
    fn note(&mut self, field: &Field, value: impl fmt::Display) {
        match field.name() {
            "message" => {
                // An event's own text.
                let _ = write!(self.text, "{value}");
            }
            "id" => self.message = Some(value.to_string()),
            name => {
                if name == "plugin" {
                    self.plugin = Some(value.to_string());
                }
                let _ = write!(self.others, " {name}={value}");
            }
        }
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.note(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.note(field, format_args!("{value:?}"));
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Logs {
    fn on_new_span(
        &self,
        attributes: &span::Attributes<'_>,
        id: &span::Id,
        context: Context<'_, S>,
    ) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(Named(fields));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let spans = context.event_scope(event).into_iter().flatten();
        for span in spans {
            let extensions = span.extensions();
            let Some(Named(around)) = extensions.get::<Named>() else {
                continue;
            };
            fields.others.push_str(&around.others);
            fields.plugin = fields.plugin.or_else(|| around.plugin.clone());
            if span.name() == "message" && around.message.is_some() {
                fields.message.clone_from(&around.message);
            }
        }
        let metadata = event.metadata();
        self.push(Line {
            at: SystemTime::now(),
            level: *metadata.level(),
            target: metadata.target().to_owned(),
            plugin: fields.plugin,
            message: fields.message,
            text: one_line(&(fields.text + &fields.others), LONGEST),
        });
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[test]
    fn a_line_names_the_plugin_that_wrote_it_and_the_message_it_is_about() {
        let logs = Logs::default();
        let (_, mut live) = logs.kept_and_live();
        let subscriber = tracing_subscriber::registry().with(logs.clone());
        tracing::subscriber::with_default(subscriber, || {
            let span = tracing::error_span!("message", id = "ba7816bf8f01cfea", peer = "b");
            let _within = span.enter();
            tracing::info!(plugin = "key-request", "waits\u{1b}[2J");
        });

        let (kept, _) = logs.kept_and_live();
        assert_eq!(kept[0].plugin.as_deref(), Some("key-request"));
        assert_eq!(kept[0].message.as_deref(), Some("ba7816bf8f01cfea"));
        assert_eq!(kept[0].text, "waits\\u{1b}[2J plugin=key-request peer=b");
        assert_eq!(live.try_recv().expect("live"), kept[0]);
    }

    #[test]
    fn keeps_the_last_lines_only() {
        let logs = Logs::default();
        let subscriber = tracing_subscriber::registry().with(logs.clone());
        tracing::subscriber::with_default(subscriber, || {
            (0..MOST + 10).for_each(|n| tracing::info!("{n}"));
        });

        let (kept, _) = logs.kept_and_live();
        assert_eq!((kept.len(), kept[0].text.as_str()), (MOST, "10"));
    }
}
