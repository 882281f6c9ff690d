/// <reference path="./backchannel-n2n-types.d.ts" />
declare module 'backchannel:n2n/channel-keys@0.1.1' {
  /**
   * This node's public key on its channel with the sender of the message at hand: P-256, PEM. `refused` in an initiator.
   */
  export function ownPublicKey(): Uint8Array;
  export type Failure = import('backchannel:n2n/types@0.1.1').Failure;
}
