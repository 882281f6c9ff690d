declare module 'backchannel:n2n/types@0.1.1' {
  /**
   * How sure the host is that `envelope.source` really sent the message.
   * # Variants
   * 
   * ## `"published-key"`
   * 
   * Signed with the key pair that is published with Fed-BioMed. Anyone can make such a message, the relay first
   * of all: believe nothing in it that matters.
   * ## `"channel-key"`
   * 
   * Signed with the channel key that this node holds for the sender.
   * ## `"identity-key"`
   * 
   * Authenticated by the sender's identity key, which the operator pinned or a roster names.
   */
  export type Assurance = 'published-key' | 'channel-key' | 'identity-key';
  /**
   * Who sent a message, through whom, and how sure that is. Written by the host after verification.
   */
  export interface Envelope {
    /**
     * The researcher whose server relayed the message.
     */
    researcherId: string,
    /**
     * The node that sent it. Outer and inner sender were compared and are the same.
     */
    source: string,
    /**
     * The message was sent as part of a channel set-up.
     */
    setup: boolean,
    /**
     * What the sender's name rests on.
     */
    assurance: Assurance,
  }
  /**
   * A message as a handler gets it.
   */
  export interface Message {
    /**
     * Its kind: the class name on the wire, such as `KeyRequest`.
     */
    kind: string,
    /**
     * What a reply must carry to be matched to its request. Absent when the sender wants no reply matched.
     */
    requestId?: string,
    /**
     * The kind's own fields: one MessagePack map, without ids, kind and protocol version, which the host keeps.
     */
    fields: Uint8Array,
  }
  /**
   * A message as a handler makes it. Sender, receiver and request id are the host's to fill in.
   */
  export interface Outgoing {
    /**
     * The kind: one of those in the plugin's manifest, or the host refuses it.
     */
    kind: string,
    /**
     * The kind's own fields: one MessagePack map in canonical (shortest) form.
     */
    fields: Uint8Array,
  }
  /**
   * Something prepared for a run that peers may ask for, through `material.wait`. It is kept for 60 s, and taken back when the
   * run fails or is begun again.
   */
  export interface Datum {
    /**
     * The run it belongs to.
     */
    run: string,
    /**
     * The one party that may have it; every party of the run when absent.
     */
    audience?: string,
    /**
     * The bytes handed out.
     */
    body: Uint8Array,
  }
  /**
   * A change of one entry of the plugin's own.
   */
  export interface Entry {
    /**
     * Its key: 1 to 256 bytes.
     */
    key: string,
    /**
     * What it holds from now on. Absent: it is removed.
     */
    value?: Uint8Array,
  }
  /**
   * A public key that a party gave for a run.
   */
  export interface PeerKey {
    /**
     * The party.
     */
    peer: string,
    /**
     * Its P-256 public key: PEM, SubjectPublicKeyInfo.
     */
    pem: Uint8Array,
  }
  /**
   * A share that a party gave for a run.
   */
  export interface PeerShare {
    /**
     * The party.
     */
    peer: string,
    /**
     * An integer: big-endian two's complement, at most 288 bytes.
     */
    share: Uint8Array,
  }
  /**
   * What a finished run leaves in the host's key store. The secrets themselves are computed there.
   */
  export type SecaggContext = SecaggContextPairSecrets | SecaggContextServerKey;
  /**
   * One secret with each other party: ECDH of the run's key (`agreement.public-key`) with the keys given here.
   */
  export interface SecaggContextPairSecrets {
    tag: 'pair-secrets',
    val: Array<PeerKey>,
  }
  /**
   * The server key that `sharing.share-for` split. The host answers the researcher with the sum of the share it
   * kept and the shares given here.
   */
  export interface SecaggContextServerKey {
    tag: 'server-key',
    val: Array<PeerShare>,
  }
  /**
   * What a guest asks the host to do. The host checks each against the plugin's grants and the message at hand, and
   * carries out all of them or none.
   */
  export type Effect = EffectReply | EffectDeliver | EffectSetPeerKey | EffectPublish | EffectEstablish | EffectStore;
  /**
   * Answer the sender of the message at hand, once, with its request id.
   */
  export interface EffectReply {
    tag: 'reply',
    val: Outgoing,
  }
  /**
   * The message at hand answers a request of this plugin to its sender: hand these bytes to whoever asked.
   * Refused when there is no such request, or it is another peer's, another plugin's or already answered.
   */
  export interface EffectDeliver {
    tag: 'deliver',
    val: Uint8Array,
  }
  /**
   * The sender of the message at hand uses this P-256 public key (PEM) on its channel with us. Refused unless
   * this node asked that sender for it. Needs `channel-keys`.
   */
  export interface EffectSetPeerKey {
    tag: 'set-peer-key',
    val: Uint8Array,
  }
  /**
   * Prepare something for the parties of the run at hand. Initiators only. Needs `material`.
   */
  export interface EffectPublish {
    tag: 'publish',
    val: Datum,
  }
  /**
   * Keep the result of the run at hand. Initiators only. Needs `agreement` or `sharing`.
   */
  export interface EffectEstablish {
    tag: 'establish',
    val: SecaggContext,
  }
  /**
   * Keep, replace or remove an entry of the plugin's own, in the order given. On disk before any other effect shows.
   * Refused with all others when the plugin would then have more than its limits `store-kib` and `store-keys`. Needs `store`.
   */
  export interface EffectStore {
    tag: 'store',
    val: Entry,
  }
  /**
   * Why a guest could not do its work. The text goes to the node's log, never to the peer.
   */
  export type Failure = FailureMalformed | FailureUnavailable | FailureRefused;
  /**
   * What the peer sent is not what its kind calls for.
   */
  export interface FailureMalformed {
    tag: 'malformed',
    val: string,
  }
  /**
   * What the work needs is not there (yet).
   */
  export interface FailureUnavailable {
    tag: 'unavailable',
    val: string,
  }
  /**
   * The work was possible and is declined.
   */
  export interface FailureRefused {
    tag: 'refused',
    val: string,
  }
}
