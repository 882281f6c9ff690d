//! Moving in: what a Fed-BioMed 6.4 node keeps in its component folder, read and never written.
//!
//! [`ConfigIni`] is who the node is and where its researcher listens. [`TinyDb`] is its database, and [`import`] brings
//! over its channel keys and secagg contexts.

mod config_ini;
mod import;
mod imported;
mod tiny_db;

pub use config_ini::{ConfigIni, ConfigIniError};
pub use import::{ImportError, import};
pub use imported::{Entry, Imported, NotTaken, Outcome};
pub use tiny_db::{TinyDb, TinyDbError};
