use std::fmt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::output::foreign;
use super::plugin::{Operator, PassphraseSource, TrustSource, not_read, unlock};
use super::whom::Whom;
use super::{Exit, Format, Problem};
use crate::packages::{NotSigned, Signature, read_file, signatures_beside, write_signature};
use crate::proto::control::{ApplyRosterReply, ApplyRosterRequest};
use crate::roster::{LONGEST, Roster as Content, RosterError, Signed as Verified, text};

#[derive(Debug, Subcommand)]
pub(super) enum Roster {
    /// Sign a roster with a consortium key. Its signature goes beside it.
    Sign(Sign),
    /// Check who has signed a roster, what is in it, and whether it counts now.
    Verify(Verify),
    /// Have a node believe a roster.
    Apply(Apply),
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  backchannel roster sign roster.toml --key dr-lee.key")]
pub(super) struct Sign {
    /// The roster.
    file: PathBuf,
    /// The secret key, as `plugin key new` or minisign made it.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    #[command(flatten)]
    passphrase: PassphraseSource,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  backchannel roster verify roster.toml --key dr-kim.key.pub --key dr-lee.key.pub\n  backchannel roster verify roster.toml --data /var/lib/backchannel"
)]
pub(super) struct Verify {
    /// The roster, with its signatures beside it (FILE.minisig, FILE.KEY.minisig).
    file: PathBuf,
    #[command(flatten)]
    trust: TrustSource,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  backchannel roster apply roster.toml --data /var/lib/backchannel"
)]
pub(super) struct Apply {
    /// The roster, with its signatures beside it (FILE.minisig, FILE.KEY.minisig).
    file: PathBuf,
    #[command(flatten)]
    operator: Operator,
}

impl Roster {
    pub(super) async fn run(self, format: Format) -> Result<(), Problem> {
        match self {
            Self::Sign(sign) => sign.run(format),
            Self::Verify(verify) => verify.run(format),
            Self::Apply(apply) => apply.run(format).await,
        }
    }
}

impl Sign {
    fn run(self, format: Format) -> Result<(), Problem> {
        let what = format!("{} is not signed", self.file.display());
        let file = read(&what, &self.file)?;
        let wrong = |error| wrong_roster(&what, &error);
        let roster = text(&file).and_then(Content::parse).map_err(wrong)?;
        // Nobody signs what no node takes.
        roster.is_in_time(SystemTime::now()).map_err(wrong)?;
        let key = unlock(&what, &self.key, &self.passphrase)?;
        let comment = format!("roster {} of {}", roster.version, roster.federation);
        let signature = Signature::of_file(&file, &comment, &key);
        let signature = signature.map_err(|error| not_signed(&what, &error))?;
        let path =
            write_signature(&self.file, &signature).map_err(|error| not_read(&what, &error))?;
        format.show(&Signed {
            ok: true,
            key: signature.key().to_string(),
            signature: path,
            content: Shown::of(&roster, Vec::new()),
        });
        Ok(())
    }
}

impl Verify {
    fn run(self, format: Format) -> Result<(), Problem> {
        let what = format!("{} is no roster to be believed", self.file.display());
        let trust = self.trust.get_for(&what, |policy| policy.consortium)?;
        let file = read(&what, &self.file)?;
        let signatures = signatures_beside(&self.file).map_err(|error| not_read(&what, &error))?;
        let wrong = |error| wrong_roster(&what, &error);
        let verified = Verified::read(&file, &signatures, &trust).map_err(wrong)?;
        verified
            .roster
            .is_in_time(SystemTime::now())
            .map_err(wrong)?;
        format.show(&Shown::of(&verified.roster, verified.by));
        Ok(())
    }
}

impl Apply {
    async fn run(self, format: Format) -> Result<(), Problem> {
        let what = format!(
            "{} is not applied, and the node believes what it did",
            self.file.display()
        );
        let file = read(&what, &self.file)?;
        let signatures = signatures_beside(&self.file).map_err(|error| not_read(&what, &error))?;
        let request = ApplyRosterRequest {
            file,
            signatures: signatures.iter().map(ToString::to_string).collect(),
            by: self.operator.name(),
        };
        let whom = Whom::reach(&self.operator.data, None, what).await?;
        format.show(&Applied::from(whom.apply_roster(request).await?));
        Ok(())
    }
}

fn read(what: &str, file: &Path) -> Result<Vec<u8>, Problem> {
    read_file(file, LONGEST).map_err(|error| not_read(what, &error))
}

fn wrong_roster(what: &str, error: &RosterError) -> Problem {
    let exit = match error {
        RosterError::NotSigned(_) | RosterError::NotYet { .. } | RosterError::Expired { .. } => {
            Exit::Refused
        }
        _ => Exit::Input,
    };
    Problem::new(exit, what, foreign(&error.to_string()), error.advice())
}

fn not_signed(what: &str, error: &NotSigned) -> Problem {
    let todo = "check the key, and that the roster is as you want it";
    Problem::new(Exit::Failed, what, error, todo)
}

#[derive(Serialize)]
struct Signed {
    ok: bool,
    signature: PathBuf,
    key: String,
    #[serde(flatten)]
    content: Shown,
}

#[derive(Serialize)]
struct Shown {
    federation: String,
    version: u64,
    expires: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    signed_by: Vec<String>,
    nodes: Vec<ShownMember>,
}

#[derive(Serialize)]
struct ShownMember {
    id: String,
    site: String,
    fingerprint: String,
    minimum_suite: u8,
}

impl Shown {
    fn of(roster: &Content, signed_by: Vec<String>) -> Self {
        let members = roster.members.iter().map(|member| ShownMember {
            id: foreign(member.node.as_str()),
            site: foreign(&member.site),
            fingerprint: member.identity().fingerprint().to_string(),
            minimum_suite: member.minimum_suite,
        });
        Self {
            federation: foreign(roster.federation.as_str()),
            version: roster.version,
            expires: super::plugin::date(roster.expires),
            signed_by,
            nodes: members.collect(),
        }
    }
}

impl fmt::Display for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.content)?;
        writeln!(f, "signed with {}", self.key)?;
        write!(
            f,
            "written {}",
            foreign(&self.signature.display().to_string())
        )
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            federation,
            version,
            expires,
            ..
        } = self;
        write!(f, "roster {version} of {federation}, until {expires}")?;
        match self.signed_by.as_slice() {
            [] => writeln!(f)?,
            names => writeln!(f, ", signed by {}", names.join(", "))?,
        }
        for member in &self.nodes {
            writeln!(f, "{}: suite {} or higher", member.id, member.minimum_suite)?;
            writeln!(f, "  site         {}", member.site)?;
            writeln!(f, "  fingerprint  {}", member.fingerprint)?;
        }
        Ok(())
    }
}

#[derive(Serialize)]
struct Applied {
    ok: bool,
    federation: String,
    version: u64,
    signed_by: Vec<String>,
    nodes: u64,
    already: bool,
    added: Vec<String>,
    removed: Vec<String>,
    changed: Vec<String>,
    lists_this_node: bool,
}

impl From<ApplyRosterReply> for Applied {
    fn from(reply: ApplyRosterReply) -> Self {
        let names = |names: &[String]| names.iter().map(|name| foreign(name)).collect();
        Self {
            ok: true,
            federation: foreign(&reply.federation),
            version: reply.version,
            signed_by: names(&reply.signed_by),
            nodes: reply.nodes,
            already: reply.already,
            added: names(&reply.added),
            removed: names(&reply.removed),
            changed: names(&reply.changed),
            lists_this_node: reply.lists_this_node,
        }
    }
}

impl fmt::Display for Applied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            federation,
            version,
            nodes,
            ..
        } = self;
        let signed_by = self.signed_by.join(", ");
        let already = if self.already {
            "was in force already"
        } else {
            "is in force"
        };
        writeln!(
            f,
            "roster {version} of {federation} {already}: {nodes} nodes, signed by {signed_by}"
        )?;
        for (name, nodes) in [
            ("new", &self.added),
            ("taken off", &self.removed),
            ("with another key than before", &self.changed),
        ] {
            if !nodes.is_empty() {
                writeln!(f, "{name}: {}", nodes.join(", "))?;
            }
        }
        if !self.lists_this_node {
            writeln!(
                f,
                "warning: this node is not in it, so others will not know it by this roster"
            )?;
        }
        Ok(())
    }
}
