//! What a node answers about what happened: journeys, numbers, log lines.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use tonic::Status;

use crate::chronicle::Chronicle;
use crate::journeys::{Direction, End, Journey, Journeys};
use crate::logs::{Line, Logs};
use crate::metrics::Took;
use crate::proto::control;

/// Log lines on their way to a reader.
const BETWEEN: usize = 100;

pub(super) fn explain(journeys: &Journeys, found: Vec<Journey>) -> control::ExplainReply {
    let told = found.into_iter().map(|journey| {
        let other = match journey.direction {
            Direction::In => journey.reply,
            Direction::Out => journeys.answered_by(journey.id),
        };
        told(journey, other.map_or_else(String::new, |id| id.to_string()))
    });
    control::ExplainReply {
        journeys: told.collect(),
    }
}

fn told(journey: Journey, other: String) -> control::Journey {
    let (under_way, reason, why) = match journey.end {
        None => (true, String::new(), String::new()),
        Some(End::Done) => (false, String::new(), String::new()),
        Some(End::Dropped { reason, why }) => (false, reason.to_owned(), why),
    };
    control::Journey {
        message_id: journey.id.to_string(),
        left: journey.direction == Direction::Out,
        at_ms: ms(journey.at),
        bytes: journey.bytes as u64,
        researcher_id: journey.researcher,
        peer: journey.peer,
        setup: journey.setup,
        assurance: journey.assurance.unwrap_or_default().to_owned(),
        kind: journey.kind.unwrap_or_default(),
        request_id: journey.request.unwrap_or_default(),
        plugin: journey.plugin.map(|plugin| control::PluginVersion {
            name: plugin.name,
            version: plugin.version,
            digest: plugin.digest,
        }),
        took: journey.took.map(took),
        effects: journey.effects,
        other,
        under_way,
        reason,
        why,
        rule: journey.rule.map(|rule| control::Rule {
            name: rule.name,
            value: rule.value,
            place: rule.place,
        }),
    }
}

fn took(took: Took) -> control::Took {
    let us = |time: std::time::Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    control::Took {
        wall_us: us(took.wall),
        computing_us: us(took.computing),
        memory: took.memory,
        host_calls: took.host_calls,
        effects: took.effects,
        effect_bytes: took.effect_bytes,
    }
}

pub(super) fn top(chronicle: &Chronicle) -> control::TopReply {
    let plugins = chronicle.metrics.plugins();
    control::TopReply {
        plugins: plugins
            .into_iter()
            .map(|(name, numbers)| control::PluginUse {
                name,
                calls: numbers
                    .calls
                    .iter()
                    .map(|(ended, count)| (ended.name().to_owned(), *count))
                    .collect(),
                p50: numbers.wall.quantile(0.5),
                p99: numbers.wall.quantile(0.99),
                computing: numbers.computing.as_secs_f64(),
                memory_peak: numbers.memory_peak,
                host_calls: numbers.host_calls,
                effects: numbers.effects,
                effect_bytes: numbers.effect_bytes,
                limit_hits: numbers
                    .limits
                    .iter()
                    .map(|(limit, count)| ((*limit).to_owned(), *count))
                    .collect(),
                in_flight: numbers.in_flight,
            })
            .collect(),
    }
}

pub(super) fn limit_hits(chronicle: &Chronicle) -> Vec<control::LimitHits> {
    let plugins = chronicle.metrics.plugins();
    plugins
        .into_iter()
        .flat_map(|(plugin, numbers)| {
            numbers
                .limits
                .into_iter()
                .map(move |(limit, count)| control::LimitHits {
                    plugin: plugin.clone(),
                    limit: limit.to_owned(),
                    count,
                })
        })
        .collect()
}

pub(super) fn audit_head(chronicle: &Chronicle) -> control::AuditHead {
    let state = chronicle.audit.state();
    control::AuditHead {
        seq: state.seq,
        hash: state.hash,
        lost: state.lost,
        failing: state.failing.unwrap_or_default(),
    }
}

/// The last lines, then those that come until the reader goes away.
pub(super) fn logs(
    logs: &Logs,
    request: control::LogsRequest,
) -> mpsc::Receiver<Result<control::LogLine, Status>> {
    let (to_reader, reader) = mpsc::channel(BETWEEN);
    let (kept, mut live) = logs.kept_and_live();
    let wanted = move |line: &Arc<Line>| {
        request.plugin.is_empty() || line.plugin.as_deref() == Some(&*request.plugin)
    };
    tokio::spawn(async move {
        let mut last: Vec<_> = kept.into_iter().filter(&wanted).collect();
        let most = usize::try_from(request.lines).unwrap_or(usize::MAX);
        last.drain(..last.len().saturating_sub(most));
        for line in last {
            if to_reader.send(Ok(log_line(&line, 0))).await.is_err() {
                return;
            }
        }
        if !request.follow {
            return;
        }
        let mut missed = 0;
        loop {
            let next = tokio::select! {
                next = live.recv() => next,
                () = to_reader.closed() => return,
            };
            match next {
                Ok(line) if wanted(&line) => {
                    let line = log_line(&line, std::mem::take(&mut missed));
                    if to_reader.send(Ok(line)).await.is_err() {
                        return;
                    }
                }
                Ok(_) => {}
                Err(RecvError::Lagged(count)) => missed += count,
                Err(RecvError::Closed) => return,
            }
        }
    });
    reader
}

fn log_line(line: &Line, missed: u64) -> control::LogLine {
    control::LogLine {
        at_ms: ms(line.at),
        level: line.level.to_string(),
        target: line.target.clone(),
        plugin: line.plugin.clone().unwrap_or_default(),
        message_id: line.message.clone().unwrap_or_default(),
        text: line.text.clone(),
        missed,
    }
}

fn ms(at: SystemTime) -> u64 {
    let since = at.duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}
