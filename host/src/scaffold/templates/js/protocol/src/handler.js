// @ts-check
// Agrees on one pair secret with each other party of a run; this half treats the messages, `initiator.js` begins the runs.
import { wait } from 'backchannel:n2n/material@0.1.1';
import { authenticated, explained, fields, outgoing, unknownKind } from '../vendor/backchannel-sdk.js';

/** @import { Effect, Envelope, Message } from 'backchannel:n2n/types@0.1.1' */

/** What `handle` found, on its way to `finalize`: the effects that come of it. */
class Outcome {
  /** @param {Effect[]} effects */
  constructor(effects) {
    this.effects = effects;
  }

  /** Waits for nothing. Never cancelled. @param {Outcome} outcome @returns {Effect[]} */
  static finalize(outcome) {
    return explained('finalize', () => outcome.effects);
  }
}

/** Reads, checks, waits; changes nothing. May be cancelled. @param {Envelope} envelope @param {Message} message */
function handle(envelope, message) {
  return explained('handle', () => {
    authenticated(envelope);
    switch (message.kind) {
      case 'MyHandlerRequest': {
        const { run } = fields(message.fields, { run: 'string' });
        // A party may ask before the researcher's own request has reached this node.
        const key = wait(run);
        if (key === undefined) return undefined;
        return new Outcome([{ tag: 'reply', val: outgoing('MyHandlerReply', { run, public_key: key }) }]);
      }
      case 'MyHandlerReply':
        fields(message.fields, { run: 'string', public_key: 'bytes' });
        return new Outcome([{ tag: 'deliver', val: message.fields }]);
      default: return unknownKind(message);
    }
  });
}

export const handler = { Outcome, handle };
export { initiator } from './initiator.js';
