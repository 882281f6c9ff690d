/// <reference path="./backchannel-n2n-types.d.ts" />
declare module 'backchannel:n2n/rounds@0.1.1' {
  export type Entry = import('backchannel:n2n/types@0.1.1').Entry;
  export type Failure = import('backchannel:n2n/types@0.1.1').Failure;
  /**
   * What a researcher asks the parties to run.
   */
  export interface Start {
    /**
     * The protocol: one of those in the plugin's manifest.
     */
    protocol: string,
    /**
     * Who asks.
     */
    researcherId: string,
    /**
     * The name of the run. A name serves once.
     */
    run: string,
    /**
     * This node.
     */
    nodeId: string,
    /**
     * All parties, this node among them, at least two, in the order of the researcher: the same at each.
     */
    parties: Array<string>,
    /**
     * The researcher's parameters: one MessagePack map, empty when there are none. The same at each party, if the relay is honest.
     */
    params: Uint8Array,
  }
  /**
   * What one party hands to another in a round.
   */
  export interface Parcel {
    /**
     * The other party.
     */
    to: string,
    /**
     * The bytes.
     */
    body: Uint8Array,
  }
  /**
   * Whose parcels a round waits for.
   */
  export interface Gather {
    /**
     * Other parties, each once. Nobody: the round waits for nothing.
     */
    from: Array<string>,
    /**
     * How many of them it needs. With fewer the host ends the run, and names who was silent.
     */
    quorum: number,
    /**
     * How long it waits for all of them, in seconds: 1 to 600. It goes on as soon as it has heard of each. Parties that are still in an
     * earlier round, waiting for somebody who is silent, have as much more time as earlier rounds did not need.
     */
    seconds: number,
  }
  /**
   * One round.
   */
  export interface Round {
    /**
     * Changes of the plugin's own entries, on disk before a parcel leaves. Needs `store`.
     */
    store: Array<Entry>,
    /**
     * For every other party, but those that have a parcel of their own.
     */
    broadcast?: Uint8Array,
    /**
     * For one other party each, at most one.
     */
    parcels: Array<Parcel>,
    /**
     * What is gathered.
     */
    gather: Gather,
  }
  /**
   * Why a run cannot go on, and through whose fault.
   */
  export interface Blame {
    /**
     * Parties that broke the protocol; nobody, if that cannot be told.
     */
    parties: Array<string>,
    /**
     * What they did: shown to the researcher, so nothing secret.
     */
    why: string,
  }
  /**
   * What comes next.
   */
  export type Next = NextRound | NextDone | NextAbort;
  /**
   * Another round.
   */
  export interface NextRound {
    tag: 'round',
    val: Round,
  }
  /**
   * The run is finished: one MessagePack map, for the researcher. What was handed over can be had for a while longer.
   */
  export interface NextDone {
    tag: 'done',
    val: Uint8Array,
  }
  /**
   * The run is given up. The researcher hears who is to blame; nothing more is handed over.
   */
  export interface NextAbort {
    tag: 'abort',
    val: Blame,
  }
  
  export class Part {
    /**
     * This type does not have a public constructor.
     */
    private constructor();
    /**
    * Takes part. Changes nothing outside the instance. On failure the researcher hears that this node does not take part.
    */
    static begin(start: Start): Part;
    /**
    * The parcel of one party of the round's `gather`; in the order in which they come, one at a time. On `malformed` the run is
    * given up and that party blamed. A protocol that can do without a party says nothing and leaves it out itself.
    */
    accept(from: string, body: Uint8Array): void;
    /**
    * The round is over, or the run begins: what is next. `missing` are those of `gather.from` that had nothing for this party or
    * were silent, in the order of `from`.
    */
    next(missing: Array<string>): Next;
  }
}
