/// <reference path="./backchannel-n2n-types.d.ts" />
declare module 'backchannel:n2n/initiator@0.1.1' {
  export type Outgoing = import('backchannel:n2n/types@0.1.1').Outgoing;
  export type Effect = import('backchannel:n2n/types@0.1.1').Effect;
  export type Failure = import('backchannel:n2n/types@0.1.1').Failure;
  /**
   * A researcher's request to set something up among parties.
   */
  export interface Setup {
    /**
     * The request's kind: `SecaggRequest`, `AdditiveSSSetupRequest`.
     */
    kind: string,
    /**
     * Who asks.
     */
    researcherId: string,
    /**
     * The name of the run (on the wire: `secagg_id`).
     */
    run: string,
    /**
     * The experiment the run is for.
     */
    experimentId: string,
    /**
     * This node.
     */
    nodeId: string,
    /**
     * All parties, this node among them, at least two, in the researcher's order.
     */
    parties: Array<string>,
  }
  /**
   * A request to one party.
   */
  export interface Addressed {
    /**
     * A party of the run other than this node, or the host refuses the step.
     */
    to: string,
    /**
     * The request.
     */
    message: Outgoing,
  }
  /**
   * What a party answered, as its `deliver` effect gave it.
   */
  export interface Answer {
    /**
     * The party.
     */
    from: string,
    /**
     * The bytes of its `deliver` effect.
     */
    body: Uint8Array,
  }
  /**
   * One round of a run.
   */
  export interface Step {
    /**
     * Carried out first, all or none.
     */
    effects: Array<Effect>,
    /**
     * Then sent. The run goes on when every party has answered; when one stays silent for 30 s the host
     * ends it and tells the researcher who. Empty: the run is finished.
     */
    ask: Array<Addressed>,
  }
  
  export class Run {
    /**
     * This type does not have a public constructor.
     */
    private constructor();
    /**
    * Begins a run. Changes nothing outside the instance.
    */
    static begin(setup: Setup): Run;
    /**
    * The next round. `answers` are those of the round before in the order of its `ask`, none at first. Cannot wait:
    * every import that waits fails here.
    */
    step(answers: Array<Answer>): Step;
  }
}
