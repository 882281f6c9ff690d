/// <reference path="./backchannel-n2n-types.d.ts" />
declare module 'backchannel:n2n/store@0.1.1' {
  /**
   * What is stored under `key`; `none`: nothing. `unavailable` when the disk cannot be read.
   */
  export function get(key: string): Uint8Array | undefined;
  /**
   * The keys that begin with `prefix`, sorted by their bytes. `unavailable` when the disk cannot be read.
   */
  export function keys(prefix: string): Array<string>;
  export type Failure = import('backchannel:n2n/types@0.1.1').Failure;
}
