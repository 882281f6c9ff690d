use super::n2n::log::{self, Level};
use crate::handlers::Capability;
use crate::handlers::Limit;
use crate::handlers::state::CallState;
use crate::message::one_line;
use crate::trace::Value;

/// The target of the lines that plugins write, whose field `plugin` says which.
pub const PLUGIN_LOG: &str = "backchannel::plugin";

impl log::Host for CallState {
    fn write(&mut self, level: Level, text: String) -> wasmtime::Result<()> {
        let given = || vec![Value::Text(name(level).into()), Value::Text(text.clone())];
        self.host_call(Capability::Log, "write", given, |state| {
            state.log(level, &text);
            Ok(())
        })
    }
}

impl CallState {
    fn log(&mut self, level: Level, text: &str) {
        if self.log_lines == 0 {
            return self.cut_off(Limit::LogLines);
        }
        if text.len() > self.log_bytes {
            self.cut_off(Limit::LogKib);
        }
        if self.log_bytes == 0 {
            return;
        }
        let line = one_line(text, self.log_bytes);
        self.has_logged(line.len());
        // By the instance that this one goes on for.
        if let Some(left) = self.said_before.checked_sub(1) {
            self.said_before = left;
            return;
        }
        let plugin = &*self.plugin;
        match level {
            Level::Debug => tracing::debug!(target: PLUGIN_LOG, plugin, "{line}"),
            Level::Info => tracing::info!(target: PLUGIN_LOG, plugin, "{line}"),
            Level::Warn => tracing::warn!(target: PLUGIN_LOG, plugin, "{line}"),
            Level::Error => tracing::error!(target: PLUGIN_LOG, plugin, "{line}"),
        }
    }
}

fn name(level: Level) -> &'static str {
    match level {
        Level::Debug => "debug",
        Level::Info => "info",
        Level::Warn => "warn",
        Level::Error => "error",
    }
}
