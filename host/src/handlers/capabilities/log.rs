use super::n2n::log::{self, Level};
use crate::handlers::state::CallState;

impl log::Host for CallState {
    fn write(&mut self, level: Level, text: String) -> wasmtime::Result<()> {
        self.count_call()?;
        if self.log_lines == 0 || self.log_bytes == 0 {
            return Ok(());
        }
        self.log_lines -= 1;
        let line = one_line(&text, self.log_bytes);
        self.log_bytes -= line.len().min(self.log_bytes);
        let plugin = &*self.plugin;
        match level {
            Level::Debug => tracing::debug!(plugin, "{line}"),
            Level::Info => tracing::info!(plugin, "{line}"),
            Level::Warn => tracing::warn!(plugin, "{line}"),
            Level::Error => tracing::error!(plugin, "{line}"),
        }
        Ok(())
    }
}

/// A guest's text as one harmless line of at most about `limit` bytes: control characters (newlines, terminal
/// commands) and characters that reorder text are escaped.
pub(in crate::handlers) fn one_line(text: &str, limit: usize) -> String {
    let mut line = String::new();
    for c in text.chars() {
        if line.len() >= limit {
            line.push('…');
            break;
        }
        match c {
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                line.extend(c.escape_unicode())
            }
            c if c.is_control() => line.extend(c.escape_default()),
            c => line.push(c),
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_what_would_forge_lines_or_command_the_terminal() {
        assert_eq!(
            one_line("a\nERROR b\u{1b}[2J\u{202e}x", 100),
            "a\\nERROR b\\u{1b}[2J\\u{202e}x"
        );
    }

    #[test]
    fn cuts_a_line_that_is_too_long() {
        let line = one_line(&"x".repeat(1 << 20), 1000);
        assert!(line.len() < 1010 && line.ends_with('…'));
    }
}
