//! Handing numbers to monitoring: [`MetricsServer`] is asked for them (Prometheus), [`Push`] sends them (OTLP).

mod push;
mod serve;

use std::sync::Arc;

use crate::metrics::Family;

pub use push::Push;
pub use serve::MetricsServer;

/// Where the numbers of the moment come from.
pub type Source = Arc<dyn Fn() -> Vec<Family> + Send + Sync>;
