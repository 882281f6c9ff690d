// @ts-check
// A run of this node's own, from the researcher's request on.
import { publicKey } from 'backchannel:n2n/agreement@0.1.1';
import { explained, fields, malformed, outgoing } from '../vendor/backchannel-sdk.js';

/** @import { Answer, Setup, Step } from 'backchannel:n2n/initiator@0.1.1' */

/** One value lives for one run, and is dropped when it ends. */
class Run {
  /** @param {Setup} setup */
  constructor(setup) {
    this.setup = setup;
    this.asked = false;
  }

  /** Begins a run. Changes nothing. @param {Setup} setup */
  static begin(setup) {
    return explained('begin', () => new Run(setup));
  }

  /** The next round. It is finished when nobody is asked. @param {Answer[]} answers */
  step(answers) {
    return explained('step', () => {
      if (this.asked) return this.establish(answers);
      this.asked = true;
      return this.publishAndAsk();
    });
  }

  /** @returns {Step} */
  publishAndAsk() {
    const { run, nodeId, parties } = this.setup;
    const others = parties.filter((party) => party !== nodeId);
    return {
      effects: [{ tag: 'publish', val: { run, audience: undefined, body: publicKey() } }],
      ask: others.map((to) => ({ to, message: outgoing('MyHandlerRequest', { run }) })),
    };
  }

  /** @param {Answer[]} answers @returns {Step} */
  establish(answers) {
    const keys = answers.map(({ from, body }) => {
      const reply = fields(body, { run: 'string', public_key: 'bytes' });
      if (reply.run !== this.setup.run) malformed(`${from} answered for another run`);
      return { peer: from, pem: reply.public_key };
    });
    return { effects: [{ tag: 'establish', val: { tag: 'pair-secrets', val: keys } }], ask: [] };
  }
}

export const initiator = { Run };
