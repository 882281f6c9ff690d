declare module 'backchannel:n2n/material@0.1.1' {
  /**
   * What was published for `run`, as the sender of the message at hand may see it. Waits up to 30 s, as a peer may
   * ask before the researcher's own request has reached this node. `none`: nothing came, or nothing for that sender.
   * 
   * In `handle` only; elsewhere `none` at once.
   */
  export function wait(run: string): Uint8Array | undefined;
}
