/// <reference path="./backchannel-n2n-types.d.ts" />
declare module 'backchannel:n2n/random@0.1.1' {
  /**
   * `count` random bytes, at most 4096; `refused` for more.
   */
  export function bytes(count: number): Uint8Array;
  export type Failure = import('backchannel:n2n/types@0.1.1').Failure;
}
