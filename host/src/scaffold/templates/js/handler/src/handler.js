// @ts-check
// Answers each MyHandlerRequest with a greeting, and hands each MyHandlerReply to whoever asked.
import { authenticated, explained, fields, outgoing, unknownKind } from '../vendor/backchannel-sdk.js';

/** @import { Effect, Envelope, Message } from 'backchannel:n2n/types@0.1.1' */

/** What `handle` found, on its way to `finalize`: whom to greet, or how this node was greeted. */
class Outcome {
  /** @param {{ name?: string, greeting?: string }} found */
  constructor(found) {
    this.found = found;
  }

  /** Turns what was found into effects; waits for nothing. Never cancelled. @param {Outcome} outcome @returns {Effect[]} */
  static finalize(outcome) {
    return explained('finalize', () => {
      const { name, greeting } = outcome.found;
      if (greeting !== undefined) return [{ tag: 'deliver', val: new TextEncoder().encode(greeting) }];
      return [{ tag: 'reply', val: outgoing('MyHandlerReply', { greeting: `Hello, ${name}!` }) }];
    });
  }
}

/** Reads, checks, waits; changes nothing. May be cancelled. @param {Envelope} envelope @param {Message} message */
function handle(envelope, message) {
  return explained('handle', () => {
    authenticated(envelope);
    switch (message.kind) {
      case 'MyHandlerRequest': return new Outcome(fields(message.fields, { name: 'string' }));
      case 'MyHandlerReply': return new Outcome(fields(message.fields, { greeting: 'string' }));
      default: return unknownKind(message);
    }
  });
}

export const handler = { Outcome, handle };
