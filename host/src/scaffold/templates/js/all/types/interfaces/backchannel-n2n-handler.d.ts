/// <reference path="./backchannel-n2n-types.d.ts" />
declare module 'backchannel:n2n/handler@0.1.1' {
  /**
   * The first half: reads, checks and waits for what the message needs, and changes nothing outside its own instance. It may be
   * cancelled at any point of waiting, and then it has had no effect at all. Limits: 1 s of CPU, 32 s in all.
   * 
   * Each call has a fresh instance: nothing is left of the message before.
   * 
   * `none`: nothing to be done, and no reply. On failure likewise, with a line in the node's log.
   */
  export function handle(envelope: Envelope, message: Message): Outcome | undefined;
  export type Envelope = import('backchannel:n2n/types@0.1.1').Envelope;
  export type Message = import('backchannel:n2n/types@0.1.1').Message;
  export type Effect = import('backchannel:n2n/types@0.1.1').Effect;
  export type Failure = import('backchannel:n2n/types@0.1.1').Failure;
  
  export class Outcome {
    /**
     * This type does not have a public constructor.
     */
    private constructor();
    /**
    * The second half: turns what `handle` found into effects. It is never cancelled once begun, so it cannot wait:
    * every import that waits fails here. Limits: 100 ms of CPU, 10 s in all.
    * 
    * On failure no effect is carried out and the peer hears nothing.
    */
    static finalize(this_: Outcome): Array<Effect>;
  }
}
