use super::Quota;
use crate::message::SecaggId;

/// Why the key store cannot do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file is not a redb file, or is damaged beyond what redb repairs by itself.
    #[error("the file cannot be read as a key store: {0}")]
    Unreadable(String),
    /// A redb file, but not one of ours or not of this version.
    #[error("the file was not made by this version of backchannel")]
    Foreign,
    /// One record is damaged.
    #[error("the record of {0} is damaged")]
    Damaged(String),
    /// The file belongs to another node.
    #[error("the store belongs to node {owner}")]
    OtherNode {
        /// The node it belongs to.
        owner: String,
    },
    /// A symbolic link stands in the file's place, and what it points to is not there: a volume that is not mounted, say.
    #[error("the file is a link to something that is not there")]
    LinkToNothing,
    /// It is encrypted, and no key is given.
    #[error("it is encrypted, and the policy has no key for it")]
    Locked,
    /// It is encrypted under another key or passphrase.
    #[error("the key or passphrase that the policy names does not open it")]
    WrongKey,
    /// It is encrypted under something else than what is given.
    #[error("it is encrypted under {0}, and the policy names something else")]
    OtherLock(&'static str),
    /// It is encrypted, and the file with its key is not there.
    #[error("it is encrypted, and its key, node.key beside it, is not there")]
    NoKey,
    /// A store in the clear lies where an encrypted one was.
    #[error(
        "it is in the clear, and an encrypted one was there before: its key, node.key, is still beside it"
    )]
    InTheClear,
    /// A backup in the clear, where a key is named.
    #[error("the backup is in the clear, so anybody can have made it")]
    BackupInTheClear,
    /// A backup is not what was written.
    #[error("the backup is damaged, cut short, or no backup at all")]
    BadBackup,
    /// The key of another store lies where a backup's was to be put.
    #[error("the key of another store, node.key, is there")]
    KeyInTheWay,
    /// A store is where another was to be put.
    #[error("there is a store already")]
    InTheWay,
    /// The store that is there has another identity key.
    #[error("the store that is there has another identity key")]
    OtherIdentity,
    /// Another process has it open.
    #[error("another process has the store open")]
    InUse,
    /// The disk would not.
    #[error("the disk refused: {0}")]
    Io(#[from] std::io::Error),
    /// A plugin would have more stored than it may.
    #[error("{} bytes under {} keys are more than the quota of {} under {}", .wanted.bytes, .wanted.keys, .quota.bytes, .quota.keys)]
    Quota {
        /// What it would have.
        wanted: Quota,
        /// What it may have.
        quota: Quota,
    },
    /// There is no such context.
    #[error("there is no secagg context {0}")]
    NoContext(SecaggId),
    /// A vector was protected in this round, or a later one, before.
    #[error("round {round} was used: the last one was {last}")]
    RoundUsed {
        /// The round asked for.
        round: u64,
        /// The highest used.
        last: u64,
    },
}

impl StoreError {
    /// What the operator can do about it.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Unreadable(_) | Self::Damaged(_) => {
                "restore the file from a backup, or move it away to start with a new identity (peers then set up their channels again)"
            }
            Self::Foreign => {
                "check the data directory; move the file away if it is not backchannel's"
            }
            Self::OtherNode { .. } => {
                "give each node its own data directory, or start this one with the id the store belongs to"
            }
            Self::LinkToNothing => {
                "mount or restore what the link points to, or remove the link to start with a new identity (peers then set up their channels again)"
            }
            Self::Locked | Self::WrongKey | Self::OtherLock(_) => {
                "name under [store] in policy.toml what it was encrypted under: key = \"file:…\", \"env:…\" or \"passphrase-file:…\""
            }
            Self::NoKey => {
                "put node.key back, from where it was copied or moved to: without it nothing in the store can be read"
            }
            Self::InTheClear => {
                "find out who put it there; if it was you, and it is this node's, move node.key away: then it is encrypted anew"
            }
            Self::BackupInTheClear => {
                "if you know where it comes from, restore it under `key = \"off\"` in policy.toml, and name the key again then"
            }
            Self::BadBackup => "take another backup; nothing was changed",
            Self::KeyInTheWay => {
                "move it away together with the store that it belongs to, which cannot be opened without it"
            }
            Self::InTheWay => {
                "with --replace its place is taken: what was stored since the backup was made is forgotten then"
            }
            Self::OtherIdentity => {
                "if the node is to have the backup's, move node.redb away first; its peers have to be told the other key"
            }
            Self::InUse => "stop the other node that runs on this data directory",
            Self::Io(_) => "check free space, permissions and the disk itself",
            Self::Quota { .. } => {
                "raise `store-kib` or `store-keys` under the plugin's limits in policy.toml"
            }
            Self::NoContext(_) => "run the set-up first, or check the id with `backchannel status`",
            Self::RoundUsed { .. } => {
                "use a higher round: protecting two vectors in one round would reveal their difference"
            }
        }
    }
}

impl From<redb::DatabaseError> for StoreError {
    fn from(error: redb::DatabaseError) -> Self {
        match error {
            redb::DatabaseError::DatabaseAlreadyOpen => Self::InUse,
            redb::DatabaseError::Storage(storage) => storage.into(),
            other => Self::Unreadable(other.to_string()),
        }
    }
}

impl From<redb::StorageError> for StoreError {
    fn from(error: redb::StorageError) -> Self {
        match error {
            // A file that is not redb's at all is reported as an I/O error of kind InvalidData.
            redb::StorageError::Io(io) if io.kind() == std::io::ErrorKind::InvalidData => {
                Self::Unreadable(io.to_string())
            }
            redb::StorageError::Io(io) => Self::Io(io),
            // The disk's, not the file's: the next transaction finds out whether it still is so.
            redb::StorageError::PreviousIo => {
                Self::Io(std::io::Error::other("it failed at another write"))
            }
            other => Self::Unreadable(other.to_string()),
        }
    }
}

impl From<redb::TableError> for StoreError {
    fn from(error: redb::TableError) -> Self {
        match error {
            redb::TableError::Storage(storage) => storage.into(),
            _ => Self::Foreign,
        }
    }
}

impl From<redb::TransactionError> for StoreError {
    fn from(error: redb::TransactionError) -> Self {
        match error {
            redb::TransactionError::Storage(storage) => storage.into(),
            other => Self::Unreadable(other.to_string()),
        }
    }
}

impl From<redb::CommitError> for StoreError {
    fn from(error: redb::CommitError) -> Self {
        match error {
            redb::CommitError::Storage(storage) => storage.into(),
            other => Self::Unreadable(other.to_string()),
        }
    }
}
