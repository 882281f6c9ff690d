//! Opening what came: in suite 2 or 3 from peers whose identity key is known, in suite 1 from others. A message never chooses.

use std::sync::Arc;

use super::{Dropped, Router, in_words};
use crate::handlers::Assurance;
use crate::introduction::Introduction;
use crate::journeys::Trip;
use crate::key_store::MessageDigest;
use crate::message::{Inner, OverlayMessage};
use crate::overlay::{self, ChannelKeys, OpenError};
use crate::post::{HANDSHAKE, Occasion};
use crate::secure_channels::Suite;
use crate::sessions::{Opened, is_frame};
use crate::tasks::blocking;

/// From this size on, opening a message (some 2 ms per MiB) is left to a thread that may block.
const LARGE: usize = 256 << 10;

/// A message that was opened.
pub(super) struct Content {
    pub(super) inner: Inner,
    /// By what it is known again; `None` under the published key.
    pub(super) digest: Option<MessageDigest>,
    pub(super) assurance: Assurance,
}

impl Router {
    /// The message inside; `None` when it was for the host alone.
    pub(super) async fn open(
        &self,
        message: &Arc<OverlayMessage>,
        trip: &Trip,
    ) -> Result<Option<Content>, Dropped> {
        let suite = self.secure.suite_with(&message.source);
        if let Some(introduction) = Introduction::read(message)
            && matches!(suite, Suite::Secure | Suite::FirstUse)
        {
            return self
                .introduced(message, introduction, trip)
                .await
                .map(|()| None);
        }
        match suite {
            Suite::Secure => return self.open_securely(message, trip).await,
            Suite::Suite1 if is_frame(message) => return Err(Dropped::UnknownIdentity),
            Suite::Suite1 => {}
            Suite::FirstUse => return Err(Dropped::UnknownIdentity),
            Suite::None(why) => return Err(Dropped::NoSuite(why)),
        }
        let (inner, digest) = self.open_suite_1(message).await?;
        let assurance = match digest {
            Some(_) => Assurance::ChannelKey,
            None => Assurance::PublishedKey,
        };
        Ok(Some(Content {
            inner,
            digest,
            assurance,
        }))
    }

    /// A peer says its identity key. If it is taken for that and the peer asks, it hears this node's.
    async fn introduced(
        &self,
        message: &OverlayMessage,
        introduction: Introduction,
        trip: &Trip,
    ) -> Result<(), Dropped> {
        let (researcher, source) = (&message.researcher_id, &message.source);
        let Introduction { key, asks } = introduction;
        let (secure, peer) = (self.secure.clone(), source.clone());
        let taken = blocking(move || secure.introduced(&peer, key)).await;
        taken
            .ok_or(Dropped::Stopping)?
            .map_err(Dropped::OtherIdentity)?;
        trip.opened(HANDSHAKE, None, in_words(Assurance::PublishedKey));
        self.chronicle.metrics.received(HANDSHAKE);
        if asks {
            self.post.introduce(researcher, source, false).await?;
        }
        Ok(())
    }

    async fn open_securely(
        &self,
        message: &Arc<OverlayMessage>,
        trip: &Trip,
    ) -> Result<Option<Content>, Dropped> {
        let (researcher, source) = (&message.researcher_id, &message.source);
        if !is_frame(message) {
            return Err(Dropped::Downgrade);
        }
        let opened = if message.overlay.len() < LARGE {
            self.secure.open(message)
        } else {
            let (secure, message) = (self.secure.clone(), message.clone());
            let opened = blocking(move || secure.open(&message));
            opened.await.ok_or(Dropped::Stopping)?
        };
        let opened = match opened {
            Ok(opened) => opened,
            Err(refused) => {
                if refused.suggests_handshake() {
                    self.post.begin_session(researcher, source).await?;
                }
                return Err(refused.into());
            }
        };
        let inner = match opened {
            Opened::Message { inner, established } => {
                if let Some(agreed) = established {
                    self.post.has_session(researcher, source, agreed);
                }
                inner
            }
            other => {
                trip.opened(HANDSHAKE, None, in_words(Assurance::IdentityKey));
                self.chronicle.metrics.received(HANDSHAKE);
                match other {
                    Opened::Answer(answer) => self.post.hand_over_handshake(answer).await?,
                    Opened::Established { proof, agreed } => {
                        self.post.hand_over_handshake(proof).await?;
                        self.post.has_session(researcher, source, agreed);
                    }
                    Opened::Nothing {
                        established: Some(agreed),
                    } => self.post.has_session(researcher, source, agreed),
                    _ => {}
                }
                return Ok(None);
            }
        };
        let digest = self.seen.first(&inner).ok_or(Dropped::Repeated)?;
        let assurance = match self.secure.is_confirmed(source) {
            true => Assurance::IdentityKey,
            false => Assurance::ChannelKey,
        };
        Ok(Some(Content {
            inner,
            digest: Some(digest),
            assurance,
        }))
    }

    /// The message inside, and by what it is known again: nothing under the published key.
    async fn open_suite_1(
        &self,
        message: &Arc<OverlayMessage>,
    ) -> Result<(Inner, Option<MessageDigest>), Dropped> {
        let (researcher, source) = (&message.researcher_id, &message.source);
        if message.setup {
            let inner = overlay::open(self.channels.published(), message)?;
            if inner.kind == "ChannelSetupRequest" {
                self.post.asked_for_own_key(researcher, source);
            }
            return Ok((inner, None));
        }
        let keys = match self.channels.keys(source) {
            Some(keys) => keys,
            None => {
                let occasion = Occasion::StrangersMessage;
                self.post.channel(researcher, source, occasion).await?
            }
        };
        let inner = match open_with(&keys, message).await? {
            Err(error) if error.may_be_another_key() => {
                let new = self.renewed_keys(message, &keys).await;
                open_with(&new.ok_or(error)?, message).await??
            }
            opened => opened?,
        };
        let digest = self.seen.first(&inner).ok_or(Dropped::Repeated)?;
        Ok((inner, Some(digest)))
    }

    /// Has the sender of a message that cannot be opened asked for its key; the keys if it has another than in `known`.
    async fn renewed_keys(
        &self,
        message: &OverlayMessage,
        known: &Arc<ChannelKeys>,
    ) -> Option<Arc<ChannelKeys>> {
        let renewed = self.post.renew(&message.researcher_id, &message.source);
        let _seat = self.doubtful.try_acquire().ok()?;
        renewed.await;
        let now = self.channels.keys(&message.source)?;
        (!Arc::ptr_eq(&now, known)).then_some(now)
    }
}

async fn open_with(
    keys: &Arc<ChannelKeys>,
    message: &Arc<OverlayMessage>,
) -> Result<Result<Inner, OpenError>, Dropped> {
    if message.overlay.len() < LARGE {
        return Ok(overlay::open(keys, message));
    }
    let (keys, message) = (keys.clone(), message.clone());
    let opened = blocking(move || overlay::open(&keys, &message));
    opened.await.ok_or(Dropped::Stopping)
}
