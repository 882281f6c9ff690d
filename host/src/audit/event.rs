use serde::Serialize;

use crate::message::MessageId;

/// What is worth a line that stays.
///
/// No field may ever hold a secret: keys are named by the SHA-256 of their public half, messages by their id, what a plugin
/// stores not at all. Names of operations and fields are Fed-BioMed's where its security log has them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "operation", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// The node started.
    NodeStarted {
        /// Where its researcher's server listens.
        researcher_address: String,
        /// Whom that server belongs to, by its certificate.
        researcher_id: String,
    },
    /// The node was told to stop, and did.
    NodeStopped,

    /// A plugin's file was put into the node's folder. It does nothing yet.
    PluginInstalled {
        /// Which.
        plugin: String,
        /// By its manifest.
        version: String,
        /// SHA-256 of the component, hex.
        digest: String,
        /// Names of the keys whose signatures on it are good.
        signed_by: Vec<String>,
        /// Who did it.
        by: String,
    },
    /// An operator granted a plugin what it may do.
    PluginApproved {
        /// Which.
        plugin: String,
        /// What was looked at: SHA-256 of the component, hex.
        digest: String,
        /// What it may do.
        grants: Vec<String>,
        /// For whom and until when, in words; empty: for all and for good.
        scope: String,
        /// Who did it.
        by: String,
        /// Why.
        reason: String,
    },
    /// An operator switched a plugin on.
    PluginEnabled {
        /// Which.
        plugin: String,
        /// Who did it.
        by: String,
    },
    /// An operator switched a plugin off.
    PluginDisabled {
        /// Which.
        plugin: String,
        /// Who did it.
        by: String,
        /// Why.
        reason: String,
    },
    /// A node that records has begun to record a plugin, as its operator allows.
    PluginRecorded {
        /// Which.
        plugin: String,
        /// SHA-256 of the component, hex.
        digest: String,
        /// The trace.
        file: String,
    },
    /// An operator put another version in a plugin's place.
    PluginUpgraded {
        /// Which.
        plugin: String,
        /// SHA-256 of the component before, hex.
        from: String,
        /// And now.
        to: String,
        /// Who did it.
        by: String,
    },
    /// An operator went back to an earlier version.
    PluginRolledBack {
        /// Which.
        plugin: String,
        /// SHA-256 of the component before, hex.
        from: String,
        /// And now.
        to: String,
        /// Who did it.
        by: String,
    },
    /// An operator took a plugin away.
    PluginRemoved {
        /// Which.
        plugin: String,
        /// SHA-256 of the component, hex.
        digest: String,
        /// Who did it.
        by: String,
    },
    /// An operator changed a limit, a scope or a trusted key.
    PolicyChanged {
        /// In words: what was changed to what.
        change: String,
        /// Who did it.
        by: String,
    },
    /// The node took a policy into use.
    PolicyReloaded {
        /// In words, one for each plugin that is treated otherwise than before.
        changes: Vec<String>,
    },
    /// The node was given a policy that it cannot use, and goes on with the one it had.
    PolicyRefused {
        /// Why, with the line.
        why: String,
    },

    /// A plugin is in use.
    PluginLoaded {
        /// Which.
        plugin: String,
        /// By its manifest.
        version: String,
        /// SHA-256 of the component, hex.
        digest: String,
        /// What it may do.
        grants: Vec<String>,
        /// What its runs may use of this node's data: each input's name and what it is, in words.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        inputs: Vec<String>,
    },
    /// A plugin is not in use, although the policy names it or somebody offered it.
    PluginRefused {
        /// Which: its name if that is known, or its file's.
        plugin: String,
        /// SHA-256 of the component, hex; empty if there is none.
        digest: String,
        /// Why.
        why: String,
    },
    /// A plugin failed so often that the node took it out of use.
    PluginQuarantined {
        /// Which.
        plugin: String,
        /// SHA-256 of the component, hex.
        digest: String,
        /// What it did.
        why: String,
    },
    /// A plugin is out of quarantine, as an operator enabled it.
    PluginReleased {
        /// Which.
        plugin: String,
        /// SHA-256 of the component, hex.
        digest: String,
    },
    /// A plugin used what it was granted: once for each plugin, grant and peer since the node started.
    GrantUsed {
        /// Which.
        plugin: String,
        /// SHA-256 of the component, hex.
        digest: String,
        /// What it was granted.
        grant: String,
        /// Whose message it treated; absent in a run, which has several peers.
        #[serde(skip_serializing_if = "Option::is_none")]
        peer: Option<String>,
        /// Through whose server.
        researcher_id: String,
    },
    /// A plugin was given one of its inputs, or blinded points of it.
    InputUsed {
        /// Which.
        plugin: String,
        /// SHA-256 of the component, hex.
        digest: String,
        /// The input's name.
        input: String,
        /// How many numbers, or different ids, it had.
        rows: usize,
        /// The run.
        #[serde(flatten)]
        subject: Subject,
    },
    /// A plugin asked for an effect that it may not have. None of that message's effects was carried out.
    EffectRefused {
        /// Which.
        plugin: String,
        /// SHA-256 of the component, hex.
        digest: String,
        /// What it treated.
        #[serde(flatten)]
        subject: Subject,
        /// Which effect, and why not.
        why: String,
    },
    /// A plugin reached one of its limits.
    LimitHit {
        /// Which.
        plugin: String,
        /// SHA-256 of the component, hex.
        digest: String,
        /// The limit's name, as in the policy.
        limit: String,
        /// What it is set to, in the unit that its name ends with.
        value: u64,
        /// What sets it: a line of a file, or that it is the default.
        decided_by: String,
        /// What the plugin treated.
        #[serde(flatten)]
        subject: Subject,
    },
    /// A plugin crashed.
    PluginTrapped {
        /// Which.
        plugin: String,
        /// SHA-256 of the component, hex.
        digest: String,
        /// What the engine says.
        why: String,
        /// What the plugin treated.
        #[serde(flatten)]
        subject: Subject,
    },

    /// All that is in the key store was handed out as a file.
    BackupMade {
        /// Whether it is encrypted.
        encrypted: bool,
    },
    /// The node started with an older copy of its key store than was used here before.
    StoreSetBack,
    /// The first session with a peer since the node started.
    ChannelSecured {
        /// With whom.
        peer: String,
        /// In which suite: from 2 on, its end is who holds the identity key that is known of it.
        suite: u8,
    },
    /// A channel with a peer is ready and stored. In suite 1: its end is whoever sat between the two when it was set up.
    ChannelSetUp {
        /// With whom.
        peer: String,
        /// SHA-256 of the peer's public key (SEC1, uncompressed), hex.
        key: String,
    },
    /// A peer has another key than before: it lost its store, or somebody on the way pretends to be it.
    ChannelKeyChanged {
        /// Whose.
        peer: String,
        /// SHA-256 of the public key before (SEC1, uncompressed), hex.
        before: String,
        /// And now.
        key: String,
    },
    /// A peer came with this identity key first, and is believed as the policy trusts on first use. Nobody confirmed it.
    PeerMet {
        /// Which.
        peer: String,
        /// The public key.
        key: String,
    },
    /// An operator has confirmed a peer's identity key.
    PeerPinned {
        /// Whose.
        peer: String,
        /// The public key.
        key: String,
        /// Who did it.
        by: String,
    },
    /// An operator took that back.
    PeerUnpinned {
        /// Whose.
        peer: String,
        /// The public key.
        key: String,
        /// Who did it.
        by: String,
    },
    /// A pin was refused: it contradicts the roster, an earlier pin or the fingerprint.
    PinRefused {
        /// Whose.
        peer: String,
        /// Why.
        why: String,
        /// Who asked for it.
        by: String,
    },
    /// A roster is in force.
    RosterApplied {
        /// Of which federation.
        federation: String,
        /// Its version.
        version: u64,
        /// SHA-256 of the file, hex.
        digest: String,
        /// Names of the keys whose signatures on it are good.
        signed_by: Vec<String>,
        /// How many nodes it has.
        nodes: usize,
        /// How many of them the one before had not.
        added: usize,
        /// How many are in it no more.
        removed: usize,
        /// How many have another key than before.
        changed: usize,
        /// Who did it.
        by: String,
    },
    /// A roster was refused, and the one before stays.
    RosterRefused {
        /// SHA-256 of the file, hex.
        digest: String,
        /// Why.
        why: String,
        /// Who asked for it.
        by: String,
    },
    /// A set-up for secure aggregation began.
    SecaggSetupStart(SecaggSetup),
    /// It ended.
    SecaggSetupComplete {
        /// Which.
        #[serde(flatten)]
        setup: SecaggSetup,
        /// How long it took.
        ms: u64,
        /// Why it failed; absent when it did not.
        #[serde(skip_serializing_if = "Option::is_none")]
        why: Option<String>,
    },
    /// A researcher asked for a run of a plugin's protocol.
    ProtocolRunStart(ProtocolRun),
    /// It ended for this node.
    ProtocolRunComplete {
        /// Which.
        #[serde(flatten)]
        run: ProtocolRun,
        /// How long it took.
        ms: u64,
        /// Why it failed; absent when it did not.
        #[serde(skip_serializing_if = "Option::is_none")]
        why: Option<String>,
    },
    /// A researcher had a context deleted.
    SecaggDeleted {
        /// Who.
        researcher_id: String,
        /// Which context.
        secagg_id: String,
        /// What it was for.
        experiment_id: String,
    },
    /// A researcher's server is met for the first time, and its certificate trusted from now on.
    ResearcherMet {
        /// Where.
        address: String,
        /// Whose, by the certificate.
        researcher_id: String,
        /// SHA-256 of the certificate, as `status` shows it.
        certificate: String,
    },
    /// The operator gave another certificate for a researcher's server.
    ResearcherCertificateChanged {
        /// Where.
        address: String,
        /// Whose, by the new certificate.
        researcher_id: String,
        /// SHA-256 of the certificate before, as `status` shows it.
        before: String,
        /// And now.
        certificate: String,
    },

    /// A message that somebody forged, repeated or misdirected, or that this node does not treat.
    MessageRefused {
        /// Which.
        message: MessageId,
        /// By its own word.
        peer: String,
        /// Through whose server.
        researcher_id: String,
        /// One word or two, of a fixed set.
        reason: &'static str,
        /// All that is known.
        why: String,
    },

    /// Lines that were not written because there were too many of their kind in a short time.
    Suppressed {
        /// The operation they would have had.
        suppressed: String,
        /// What they were about: a plugin, a reason.
        about: String,
        /// How many.
        count: u64,
    },
    /// The disk did not take lines as fast as they came: so many are lost.
    RecordsLost {
        /// How many.
        count: u64,
    },
    /// The process before this one was killed while it wrote: the end of its last line is missing.
    TornLine {
        /// What there is of it. It was never acknowledged, and is no longer in the file.
        text: String,
    },
    /// The process before this one was killed after writing lines and before noting that it had. They are whole.
    LinesRecovered {
        /// How many.
        count: u64,
    },
    /// Lines are missing at the end, or the note of where the end was: somebody removed them, or the disk lost them.
    LinesMissing {
        /// What was found.
        why: String,
    },
}

/// What a plugin was treating.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Subject {
    /// A message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<MessageId>,
    /// The message's sender.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// A run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secagg_id: Option<String>,
    /// Through whose server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub researcher_id: Option<String>,
}

/// A set-up for secure aggregation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SecaggSetup {
    /// Who asked for it.
    pub researcher_id: String,
    /// What for.
    pub experiment_id: String,
    /// The context to be made.
    pub secagg_id: String,
    /// The request's kind.
    pub message_type: &'static str,
    /// The first of the parties.
    pub parties: Vec<String>,
    /// How many there are.
    pub party_count: usize,
}

/// A run of a plugin's protocol among several parties.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProtocolRun {
    /// Who asked for it.
    pub researcher_id: String,
    /// The protocol.
    pub protocol: String,
    /// Its name.
    pub run_id: String,
    /// The first of the parties.
    pub parties: Vec<String>,
    /// How many there are.
    pub party_count: usize,
}

impl ProtocolRun {
    /// How many parties are named: a line stays short whatever a researcher asks for.
    pub const NAMED: usize = 20;
}

impl SecaggSetup {
    /// How many parties are named: a line stays short whatever a researcher asks for.
    pub const NAMED: usize = 20;
}

impl Event {
    /// How what it tells of ended, in the words of Fed-BioMed's security log.
    pub fn status(&self) -> &'static str {
        match self {
            Self::PluginRefused { .. }
            | Self::PolicyRefused { .. }
            | Self::PinRefused { .. }
            | Self::RosterRefused { .. }
            | Self::EffectRefused { .. }
            | Self::MessageRefused { .. } => "refused",
            Self::PluginQuarantined { .. }
            | Self::LimitHit { .. }
            | Self::PluginTrapped { .. }
            | Self::SecaggSetupComplete { why: Some(_), .. }
            | Self::ProtocolRunComplete { why: Some(_), .. }
            | Self::RecordsLost { .. }
            | Self::TornLine { .. }
            | Self::LinesMissing { .. } => "failure",
            Self::SecaggSetupStart(_) | Self::ProtocolRunStart(_) => "started",
            Self::ChannelKeyChanged { .. }
            | Self::PeerMet { .. }
            | Self::StoreSetBack
            | Self::ResearcherCertificateChanged { .. }
            | Self::Suppressed { .. } => "warning",
            _ => "success",
        }
    }

    /// What peers, relays and plugins can make happen as often as they like, and what is counted together when they do.
    /// The rest is bounded where it happens: by operators, or by the runs that the node's own researcher may begin.
    pub(super) fn stream(&self) -> Option<Stream> {
        let (operation, about) = match self {
            Self::MessageRefused { reason, .. } => ("message_refused", (*reason).to_owned()),
            Self::EffectRefused { plugin, .. } => ("effect_refused", plugin.clone()),
            Self::PluginTrapped { plugin, .. } => ("plugin_trapped", plugin.clone()),
            Self::LimitHit { plugin, limit, .. } => ("limit_hit", format!("{plugin} {limit}")),
            Self::GrantUsed { plugin, .. } => ("grant_used", plugin.clone()),
            Self::InputUsed { plugin, .. } => ("input_used", plugin.clone()),
            Self::ChannelKeyChanged { .. } => ("channel_key_changed", String::new()),
            _ => return None,
        };
        Some(Stream { operation, about })
    }
}

/// Events that are rationed together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stream {
    pub(super) operation: &'static str,
    pub(super) about: String,
}
