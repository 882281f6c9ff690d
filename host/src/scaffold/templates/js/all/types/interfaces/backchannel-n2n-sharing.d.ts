/// <reference path="./backchannel-n2n-types.d.ts" />
declare module 'backchannel:n2n/sharing@0.1.1' {
  /**
   * The share meant for `peer`: an integer, big-endian two's complement. All shares, the kept one among them, sum to
   * the secret. The same for the same peer throughout a run. `refused` when `peer` is not another party of it, and
   * in a handler.
   */
  export function shareFor(peer: string): Uint8Array;
  export type Failure = import('backchannel:n2n/types@0.1.1').Failure;
}
