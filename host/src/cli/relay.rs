use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::daemon::{Ready, until_told_to_stop};
use super::output::foreign;
use super::plugin::trust_in;
use super::telemetry::Telemetry;
use super::{Exit, Format, Problem};
use crate::control::{self, RelayControl};
use crate::message::ResearcherId;
use crate::node::make_private_folder;
use crate::randomness::Randomness;
use crate::relay::{Listing, Relay, RelayConfig, RelayError};
use crate::telemetry::Source;
use crate::transport::CertificateError;

/// Run a relay: the researcher's side.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  backchannel relay --researcher-id RESEARCHER_a --data relay --listen 0.0.0.0:50051 --host relay.example.org\n  backchannel relay --researcher-id RESEARCHER_a --data relay --roster roster.toml --roster-key kim.key.pub --roster-key lee.key.pub"
)]
pub(super) struct RelayCommand {
    /// The researcher's id: the certificate's `O=`, and in every message.
    #[arg(long, value_name = "ID")]
    researcher_id: String,
    /// The data directory: certificate and key, the researcher's secrets, control socket.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Where to listen; port 0 takes any that is free.
    #[arg(long, default_value = "127.0.0.1:50051", value_name = "ADDRESS:PORT")]
    listen: SocketAddr,
    /// The name or address under which nodes reach the relay, for the certificate [default: the address listened on, unless
    /// that stands for all].
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
    /// Use this certificate, PEM, instead of a self-signed one.
    #[arg(long, value_name = "FILE", requires = "key")]
    certificate: Option<PathBuf>,
    /// The certificate's key, PEM.
    #[arg(long, value_name = "FILE", requires = "certificate")]
    key: Option<PathBuf>,
    /// Know the nodes by this roster: those that it lists must prove their identity before they get or say anything. Its
    /// signatures are beside it (FILE.minisig, FILE.KEY.minisig). SIGHUP has it read again.
    #[arg(long, value_name = "FILE", requires = "roster_key")]
    roster: Option<PathBuf>,
    /// A public key of the consortium: its file, or the key itself. Can be given again.
    #[arg(long, value_name = "FILE|RW…", requires = "roster")]
    roster_key: Vec<String>,
    /// How many of these keys must have signed the roster [default: all that are given].
    #[arg(long, value_name = "NUMBER", requires = "roster")]
    roster_threshold: Option<NonZeroUsize>,
    /// Refuse nodes that the roster does not list. Without it they are served as they come, as Fed-BioMed's cannot prove
    /// anything.
    #[arg(long, requires = "roster")]
    only_listed: bool,
    #[command(flatten)]
    telemetry: Telemetry,
}

impl RelayCommand {
    pub(super) async fn run(self, format: Format) -> Result<(), Problem> {
        let what = "the relay cannot start";
        let researcher_id =
            ResearcherId::try_from(self.researcher_id.as_str()).map_err(|error| {
                let what = format!("{:?} cannot be a researcher's id", self.researcher_id);
                Problem::new(Exit::Input, what, error, "choose another id")
            })?;
        let randomness = Randomness::from_system().map_err(|error| {
            Problem::new(
                Exit::Failed,
                what,
                error,
                "wait until the machine has booted",
            )
        })?;
        let data = |error| {
            let why = format!(
                "the data directory {} cannot be used: {error}",
                self.data.display()
            );
            Problem::new(
                Exit::Input,
                what,
                why,
                "name a directory that you may write to with --data",
            )
        };
        let listing = self.listing(what)?;
        // From here on a hangup does not end a relay that has a roster.
        let hangups = listing.as_ref().map(|_| signal(SignalKind::hangup()));
        let telemetry = self
            .telemetry
            .prepare("relay", researcher_id.as_str())
            .await?;
        make_private_folder(&self.data).map_err(data)?;
        let _lock = lock(&self.data)?;
        let socket = control::Socket::bind(&self.data).map_err(|error| {
            let todo = error.advice();
            Problem::new(Exit::Failed, what, error, todo)
        })?;
        let config = RelayConfig {
            listen: self.listen,
            host: self.host.unwrap_or_else(|| self.listen.ip().to_string()),
            researcher_id: researcher_id.clone(),
            data_dir: self.data.clone(),
            identity: self.certificate.zip(self.key),
            listing,
        };
        let relay = Relay::start(config, randomness.clone())
            .await
            .map_err(problem)?;
        let relay = Arc::new(relay);
        let ready = Ready {
            event: "ready",
            id: researcher_id.to_string(),
            address: relay.local_addr().to_string(),
            fingerprint: relay.certificate().fingerprint().to_string(),
            metrics: telemetry.address(),
        };
        let stop = CancellationToken::new();
        match hangups {
            None => {}
            Some(Ok(hangups)) => {
                drop(tokio::spawn(reread_on(
                    hangups,
                    Arc::downgrade(&relay),
                    stop.clone(),
                )));
            }
            Some(Err(error)) => tracing::warn!("SIGHUP is not waited for: {error}"),
        }
        let numbers = Arc::downgrade(&relay);
        // Not kept alive by its numbers: it is stopped by whoever holds it last.
        let numbers: Source = Arc::new(move || {
            let relay = numbers.upgrade();
            relay.map_or_else(Vec::new, |relay| relay.families())
        });
        telemetry.start(&numbers, &stop);
        let control =
            RelayControl::new(relay.clone(), researcher_id, self.data.clone(), randomness);
        let controlled = tokio::spawn(socket.serve_relay(control, stop.clone()));
        until_told_to_stop(format, &ready).await?;
        stop.cancel();
        // Somebody's open connection to the control socket must not keep the relay alive.
        let _ = tokio::time::timeout(Duration::from_secs(1), controlled).await;
        if let Some(relay) = Arc::into_inner(relay) {
            relay.stop().await;
        }
        Ok(())
    }
}

impl RelayCommand {
    fn listing(&self, what: &str) -> Result<Option<Listing>, Problem> {
        let Some(file) = &self.roster else {
            return Ok(None);
        };
        let threshold = self.roster_threshold.map(NonZeroUsize::get);
        Ok(Some(Listing {
            file: file.clone(),
            trust: trust_in(what, &self.roster_key, threshold)?,
            only_listed: self.only_listed,
        }))
    }
}

/// Has the relay read its roster again at each SIGHUP. What comes of it is in the log.
async fn reread_on(mut hangups: Signal, relay: Weak<Relay>, stop: CancellationToken) {
    while let Some(Some(())) = stop.run_until_cancelled(hangups.recv()).await {
        let Some(relay) = relay.upgrade() else { return };
        let read = tokio::task::spawn_blocking(move || relay.read_roster_again()).await;
        match read {
            Ok(Ok(Some(roster))) => tracing::info!(
                federation = %roster.federation,
                version = roster.version,
                nodes = roster.nodes,
                "the relay goes by this roster now"
            ),
            Ok(Ok(None)) => {}
            Ok(Err(error)) => tracing::error!(
                security = error.is_refusal(),
                "the relay keeps the roster that it had: {}; {}",
                foreign(&error.to_string()),
                error.advice()
            ),
            Err(error) => tracing::error!(%error, "the roster could not be read"),
        }
    }
}

/// Keeps a second relay off the same data directory.
fn lock(data: &Path) -> Result<std::fs::File, Problem> {
    let path = data.join("relay.lock");
    let what = "the relay cannot start";
    let file = std::fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path);
    let file = file.map_err(|error| {
        let why = format!("{} cannot be written: {error}", path.display());
        Problem::new(
            Exit::Input,
            what,
            why,
            "name a directory that you may write to with --data",
        )
    })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(_) => Err(Problem::new(
            Exit::Refused,
            what,
            format!("another relay runs on {}", data.display()),
            "stop it, or give this one its own data directory",
        )),
    }
}

fn problem(error: RelayError) -> Problem {
    let exit = match &error {
        RelayError::NoHost { .. } => Exit::Input,
        RelayError::PortInUse { .. }
        | RelayError::NotOurAddress { .. }
        | RelayError::NotAllowed { .. }
        | RelayError::Listen { .. } => Exit::Unreachable,
        RelayError::Certificate(CertificateError::CannotMake { .. }) => Exit::Input,
        RelayError::Certificate(_)
        | RelayError::OtherResearcher { .. }
        | RelayError::OtherHost { .. }
        | RelayError::Tls(_) => Exit::Refused,
        RelayError::Listing(error) if error.is_refusal() => Exit::Refused,
        RelayError::Listing(_) => Exit::Input,
    };
    let todo = error.advice();
    let why = foreign(&error.to_string());
    Problem::new(exit, "the relay cannot start", why, todo)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn refuses_to_listen_on_all_addresses_without_a_host() {
        for listen in ["0.0.0.0:0", "[::]:0"] {
            let folder = tempfile::tempdir().unwrap();
            let command = RelayCommand {
                researcher_id: "R".into(),
                data: folder.path().join("relay"),
                listen: listen.parse().unwrap(),
                host: None,
                certificate: None,
                key: None,
                roster: None,
                roster_key: Vec::new(),
                roster_threshold: None,
                only_listed: false,
                telemetry: Telemetry::default(),
            };

            let problem = command.run(Format::Json).await.unwrap_err();

            let text = format!("{problem:?}");
            assert!(text.contains("exit: Input"), "{text}");
            assert!(text.contains("--host"), "{text}");
            assert!(!folder.path().join("relay/relay-certificate.pem").exists());
        }
    }
}
