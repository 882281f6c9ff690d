/// <reference path="./backchannel-n2n-types.d.ts" />
declare module 'backchannel:n2n/blinding@0.1.1' {
  /**
   * The ids of an input that the operator grants by name, each once: hashed to the curve (RFC 9380, P256_XMD:SHA-256_SSWU_RO_),
   * blinded, in an order drawn anew. Points are compressed (SEC1), 33 bytes each. Failures as `inputs.vector`.
   */
  export function ids(input: string): Uint8Array;
  /**
   * Points of another party, blinded too, in an order drawn anew. `malformed`: one is not on the curve, or there are two alike.
   */
  export function points(points: Uint8Array): Uint8Array;
  export type Failure = import('backchannel:n2n/types@0.1.1').Failure;
}
