// @ts-check
// Counts the rows that all parties have together, in one round: each tells the others how many it has, and each adds them up.
import { vector } from 'backchannel:n2n/inputs@0.1.1';
import { explained, fields, malformed, packed } from '../vendor/backchannel-sdk.js';

/** @import { Next, Start } from 'backchannel:n2n/rounds@0.1.1' */

// How long a party waits for the others, in seconds.
const PATIENCE_S = 30;

/** This node's part: one value lives for one run. */
class Part {
  /** @param {Start} start @param {number} rows */
  constructor(start, rows) {
    this.others = start.parties.filter((party) => party !== start.nodeId);
    this.rows = rows;
    this.told = false;
  }

  /** Takes part, or says why not. Changes nothing. @param {Start} start */
  static begin(start) {
    return explained('begin', () => {
      const { input } = fields(start.params, { input: 'string' });
      return new Part(start, vector(input).length);
    });
  }

  /** What one party told. A failure ends the run, and `malformed` blames that party. @param {string} from @param {Uint8Array} body */
  accept(from, body) {
    return explained('accept', () => {
      const { rows } = fields(body, { rows: 'number' });
      if (!Number.isSafeInteger(rows) || rows < 0) malformed(`${from} has no number of rows`);
      this.rows += rows;
    });
  }

  /**
   * What is next: the round in which all tell each other, then the result. All are needed, so nobody is ever missing.
   * @param {string[]} missing
   * @returns {Next}
   */
  next(missing) {
    return explained('next', () => {
      const rows = packed({ rows: this.rows });
      if (this.told) return { tag: 'done', val: rows };
      this.told = true;
      const gather = { from: this.others, quorum: this.others.length, seconds: PATIENCE_S };
      return { tag: 'round', val: { store: [], broadcast: rows, parcels: [], gather } };
    });
  }
}

export const rounds = { Part };
