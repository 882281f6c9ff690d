//! Results as text for people or JSON for programs, and progress for whoever waits.

use std::fmt;
use std::future::Future;
use std::io::{IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use tokio::time::{Instant, interval_at};

use crate::message::{LONGEST_LINE, one_line};

/// How results are to be shown, as the command line says it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    /// For people.
    #[default]
    Text,
    /// For programs: one JSON object.
    Json,
    /// For a browser: one page, of `sim`, `report` and `bench` only.
    Html,
}

impl Output {
    /// The format of results; `None` for a page.
    pub fn format(self) -> Option<Format> {
        match self {
            Self::Text => Some(Format::Text),
            Self::Json => Some(Format::Json),
            Self::Html => None,
        }
    }
}

/// How results are shown, other than as a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs: one JSON object.
    Json,
}

impl Format {
    /// Shows a result on standard output.
    pub fn show<T: Serialize + fmt::Display>(self, result: &T) {
        let text = match self {
            Self::Text => result.to_string(),
            Self::Json => serde_json::to_string(result)
                .unwrap_or_else(|error| format!("{{\"ok\":false,\"error\":\"{error}\"}}")),
        };
        print(&text);
    }
}

/// Writes a text to standard output. A reader that went away (`| head`) is no error.
pub fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{}", text.trim_end());
    let _ = out.flush();
}

/// Does `work`, saying on standard error what is going on once it takes longer than a second.
pub async fn with_progress<T>(doing: &str, work: impl Future<Output = T>) -> T {
    let started = Instant::now();
    let terminal = std::io::stderr().is_terminal();
    let bar = ProgressBar::hidden();
    let every = if terminal {
        Duration::from_millis(100)
    } else {
        Duration::from_secs(5)
    };
    let mut ticks = interval_at(started + Duration::from_secs(1), every);
    tokio::pin!(work);
    let done = loop {
        tokio::select! {
            done = &mut work => break done,
            _ = ticks.tick() => {
                if terminal {
                    if bar.is_hidden() {
                        bar.set_draw_target(indicatif::ProgressDrawTarget::stderr());
                        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
                            bar.set_style(style);
                        }
                    }
                    bar.set_message(format!("{doing} ({} s)", started.elapsed().as_secs()));
                    bar.tick();
                } else {
                    eprintln!("{doing} … {} s", started.elapsed().as_secs());
                }
            }
        }
    };
    bar.finish_and_clear();
    done
}

/// Text that another party wrote (a node, a researcher, the author of a plugin or of a file) as it may reach a terminal.
pub fn foreign(text: &str) -> String {
    one_line(text, LONGEST_LINE)
}

/// A word as a shell takes it: in quotes if it has anything but letters, digits and what paths are made of.
pub fn in_shell(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
    if !word.is_empty() && !word.starts_with('-') && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Milliseconds since 1970 as a time in UTC.
pub fn time_of(ms: u64) -> String {
    let nanos = i128::from(ms) * 1_000_000;
    time::OffsetDateTime::from_unix_timestamp_nanos(nanos)
        .ok()
        .and_then(|time| {
            time.format(&time::format_description::well_known::Rfc3339)
                .ok()
        })
        .unwrap_or_default()
}

/// Rows under headings, or without any; columns aligned, no lines.
pub fn table(headings: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut table = comfy_table::Table::new();
    table.load_preset(comfy_table::presets::NOTHING);
    if !headings.is_empty() {
        table.set_header(headings.iter().copied());
    }
    table.add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let lines: Vec<String> = table
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::in_shell;

    #[test]
    fn a_shell_takes_a_word_as_one_whatever_is_in_it() {
        for (word, quoted) in [
            ("runs/a-1.trace", "runs/a-1.trace"),
            ("my runs/a.trace", "'my runs/a.trace'"),
            ("a'b", r"'a'\''b'"),
            ("$(reboot)", "'$(reboot)'"),
            ("", "''"),
        ] {
            assert_eq!(in_shell(word), quoted);
        }
    }
}
