/// <reference path="./backchannel-n2n-types.d.ts" />
declare module 'backchannel:n2n/agreement@0.1.1' {
  /**
   * The public key of this run: P-256, PEM. Drawn at the first call. `refused` in a handler.
   */
  export function publicKey(): Uint8Array;
  export type Failure = import('backchannel:n2n/types@0.1.1').Failure;
}
