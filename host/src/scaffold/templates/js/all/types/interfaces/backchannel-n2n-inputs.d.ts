/// <reference path="./backchannel-n2n-types.d.ts" />
declare module 'backchannel:n2n/inputs@0.1.1' {
  /**
   * The numbers of an input, in the order of its file. `unavailable`: there is no such input, or it cannot be read; `refused`:
   * it has too few rows, or holds ids and no numbers.
   */
  export function vector(name: string): Float64Array;
  export type Failure = import('backchannel:n2n/types@0.1.1').Failure;
}
