// @ts-check
// What a handler in JavaScript is written with, beside the types of the contract (`types/`).
//
// Fields of messages are MessagePack maps: `fields` reads one strictly, `outgoing` writes one in its shortest form, as signatures
// cover the bytes. Nothing here needs a package.

/** @import { Envelope, Message, Outgoing, Failure } from 'backchannel:n2n/types@0.1.1' */

/** How deep arrays and maps may nest. */
const DEEPEST = 32;

/** What a failure is thrown as: the host sees it as the `failure` of the contract. */
class Failed {
  /** @param {Failure['tag']} tag @param {string} val */
  constructor(tag, val) {
    this.tag = tag;
    this.val = val;
  }
}

/** What the peer sent is not what its kind calls for. @param {string} why @returns {never} */
export function malformed(why) {
  throw new Failed('malformed', why);
}

/** What the work needs is not there (yet). @param {string} why @returns {never} */
export function unavailable(why) {
  throw new Failed('unavailable', why);
}

/** The work was possible and is declined. @param {string} why @returns {never} */
export function refused(why) {
  throw new Failed('refused', why);
}

/** Passes when the sender's name rests on a key that it alone holds. @param {Envelope} envelope */
export function authenticated(envelope) {
  if (envelope.assurance === 'published-key') refused('the sender is assured by the published key only');
}

/** For a kind that the handler does not know: then the manifest and the handler differ. @param {Message} message @returns {never} */
export function unknownKind(message) {
  refused(`no handler for the kind ${message.kind}`);
}

/**
 * Reads a map that has these fields, each of its type, and no others: `fields(message.fields, { name: 'string' })`. Integers beyond
 * 2^53 are of type `bigint`; other types are `number`, `boolean`, `bytes`, `list`, `map`, `null`.
 * @param {Uint8Array} packed
 * @param {Record<string, string>} types
 * @returns {Record<string, any>}
 */
export function fields(packed, types) {
  const reader = new Reader(packed);
  const read = reader.value(0);
  if (typeName(read) !== 'map') malformed('fields: not a map');
  if (reader.at !== packed.length) malformed('fields: followed by more bytes');
  for (const name of Object.keys(read)) {
    if (!Object.hasOwn(types, name)) {
      malformed(`fields: an unknown field, expected ${Object.keys(types).join(', ') || 'none'}`);
    }
  }
  for (const [name, wanted] of Object.entries(types)) {
    if (!Object.hasOwn(read, name)) malformed(`fields: missing field ${name}`);
    if (typeName(read[name]) !== wanted) malformed(`fields: ${name} is not of type ${wanted}`);
  }
  return read;
}

/**
 * A message of this kind with these fields, in their order.
 * @param {string} kind
 * @param {Record<string, any>} values
 * @returns {Outgoing}
 */
export function outgoing(kind, values) {
  return { kind, fields: packed(values) };
}

/** A map as MessagePack, each value in its shortest form. @param {Record<string, any>} values */
export function packed(values) {
  /** @type {number[]} */
  const out = [];
  write(out, values);
  return Uint8Array.from(out);
}

/**
 * Does the work of `handle`, `finalize`, `begin`, `step`, `accept` or `next`: what it throws by mistake becomes a failure that says what and where.
 *
 * Without it the component crashes, and a host that sees that again and again takes the plugin out of service. The failure names the
 * type of the error and not its text, which may hold what nobody else may read.
 * @template R
 * @param {string} name
 * @param {() => R} work
 * @returns {R}
 */
export function explained(name, work) {
  let result;
  try {
    result = work();
  } catch (error) {
    if (error instanceof Failed || isFailure(error)) throw error;
    const type = error instanceof Error ? error.name : typeof error;
    const place = error instanceof Error ? /([\w.-]+:\d+):\d+/.exec(error.stack ?? '') : null;
    throw new Failed('unavailable', `${type} in ${name}${place === null ? '' : ` at ${place[1]}`}`);
  }
  if (name === 'finalize') refuseWhatIsNoEffect(result);
  return result;
}

/** What an import has thrown, as the host says it. @param {unknown} error */
function isFailure(error) {
  return typeof error === 'object' && error !== null && 'payload' in error;
}

/** @param {unknown} effects */
function refuseWhatIsNoEffect(effects) {
  if (!Array.isArray(effects)) unavailable(`finalize returned a ${typeName(effects)}, and not a list of effects`);
  const known = ['reply', 'deliver', 'set-peer-key', 'publish', 'establish', 'store'];
  for (const effect of effects) {
    if (!known.includes(effect?.tag)) unavailable('finalize returned what is no effect: { tag, val } is expected');
  }
}

/** @param {unknown} value */
function typeName(value) {
  if (value === null) return 'null';
  // Not `instanceof`: what the host hands over is of another global object.
  if (ArrayBuffer.isView(value)) return 'bytes';
  if (Array.isArray(value)) return 'list';
  return typeof value === 'object' ? 'map' : typeof value;
}

/** Reads MessagePack from the bytes of a peer. */
class Reader {
  /** @param {Uint8Array} packed */
  constructor(packed) {
    this.packed = packed;
    this.at = 0;
  }

  /** @param {number} count */
  take(count) {
    if (this.packed.length - this.at < count) malformed('fields: end too early');
    this.at += count;
    return this.packed.slice(this.at - count, this.at);
  }

  /** @param {number} count */
  view(count) {
    return new DataView(this.take(count).buffer);
  }

  /** @param {number} count */
  length(count) {
    return this.take(count).reduce((sum, byte) => sum * 256 + byte, 0);
  }

  /** @param {number} count */
  text(count) {
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(this.take(count));
    } catch (error) {
      if (error instanceof Failed) throw error;
      return malformed('fields: not text');
    }
  }

  /** @param {number} count @param {number} depth */
  many(count, depth) {
    if (depth >= DEEPEST) malformed('fields: nested too deeply');
    const list = [];
    for (let n = 0; n < count; n += 1) list.push(this.value(depth + 1));
    return list;
  }

  /** @param {number} count @param {number} depth */
  map(count, depth) {
    if (depth >= DEEPEST) malformed('fields: nested too deeply');
    const read = Object.create(null);
    for (let n = 0; n < count; n += 1) {
      const key = this.value(depth + 1);
      if (typeof key !== 'string') malformed('fields: a key that is no text');
      if (key in read) malformed('fields: duplicate field');
      read[key] = this.value(depth + 1);
    }
    return read;
  }

  /** @param {number} depth @returns {any} */
  value(depth) {
    const first = this.length(1);
    if (first <= 0x7f) return first;
    if (first <= 0x8f) return this.map(first & 0x0f, depth);
    if (first <= 0x9f) return this.many(first & 0x0f, depth);
    if (first <= 0xbf) return this.text(first & 0x1f);
    if (first >= 0xe0) return first - 0x100;
    switch (first) {
      case 0xc0: return null;
      case 0xc2: return false;
      case 0xc3: return true;
      case 0xc4: case 0xc5: case 0xc6: return this.take(this.length(1 << (first - 0xc4)));
      case 0xca: return this.view(4).getFloat32(0);
      case 0xcb: return this.view(8).getFloat64(0);
      case 0xcc: case 0xcd: case 0xce: return this.length(1 << (first - 0xcc));
      case 0xcf: return integer(this.view(8).getBigUint64(0));
      case 0xd0: return this.view(1).getInt8(0);
      case 0xd1: return this.view(2).getInt16(0);
      case 0xd2: return this.view(4).getInt32(0);
      case 0xd3: return integer(this.view(8).getBigInt64(0));
      case 0xd9: case 0xda: case 0xdb: return this.text(this.length(1 << (first - 0xd9)));
      case 0xdc: case 0xdd: return this.many(this.length(2 << (first - 0xdc)), depth);
      case 0xde: case 0xdf: return this.map(this.length(2 << (first - 0xde)), depth);
      default: return malformed('fields: what no message has');
    }
  }
}

/** As a number where that is exact. @param {bigint} value */
function integer(value) {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

/** @param {number[]} out @param {any} value */
function write(out, value) {
  switch (typeName(value)) {
    case 'null': out.push(0xc0); break;
    case 'boolean': out.push(value ? 0xc3 : 0xc2); break;
    case 'bigint': writeInteger(out, value); break;
    case 'number':
      if (Number.isSafeInteger(value) && !Object.is(value, -0)) writeInteger(out, BigInt(value));
      else writeView(out, 0xcb, 8, (view) => view.setFloat64(0, value));
      break;
    case 'string': {
      const text = new TextEncoder().encode(value);
      writeLength(out, text.length, 0xa0, 31, [0xd9, 0xda, 0xdb]);
      for (const byte of text) out.push(byte);
      break;
    }
    case 'bytes':
      writeLength(out, value.length, 0, -1, [0xc4, 0xc5, 0xc6]);
      for (const byte of value) out.push(byte);
      break;
    case 'list':
      writeLength(out, value.length, 0x90, 15, [undefined, 0xdc, 0xdd]);
      for (const one of value) write(out, one);
      break;
    case 'map': {
      const entries = Object.entries(value);
      writeLength(out, entries.length, 0x80, 15, [undefined, 0xde, 0xdf]);
      for (const [key, one] of entries) {
        write(out, key);
        write(out, one);
      }
      break;
    }
    default: unavailable(`fields cannot hold a ${typeof value}`);
  }
}

/** @param {number[]} out @param {number} code @param {number} width @param {(view: DataView) => void} set */
function writeView(out, code, width, set) {
  const bytes = new Uint8Array(width);
  set(new DataView(bytes.buffer));
  out.push(code, ...bytes);
}

/** @param {number[]} out @param {number} count @param {number} fixed @param {number} most @param {(number | undefined)[]} codes */
function writeLength(out, count, fixed, most, codes) {
  const [eight, sixteen, thirtyTwo] = codes;
  if (count <= most) out.push(fixed | count);
  else if (count < 0x100 && eight !== undefined) out.push(eight, count);
  else if (count < 0x10000) writeView(out, Number(sixteen), 2, (view) => view.setUint16(0, count));
  else writeView(out, Number(thirtyTwo), 4, (view) => view.setUint32(0, count));
}

/** @param {number[]} out @param {bigint} value */
function writeInteger(out, value) {
  if (value >= -32n && value <= 127n) out.push(Number(value) & 0xff);
  else if (value >= 0n && value < 1n << 8n) out.push(0xcc, Number(value));
  else if (value >= 0n && value < 1n << 16n) writeView(out, 0xcd, 2, (view) => view.setUint16(0, Number(value)));
  else if (value >= 0n && value < 1n << 32n) writeView(out, 0xce, 4, (view) => view.setUint32(0, Number(value)));
  else if (value >= 0n && value < 1n << 64n) writeView(out, 0xcf, 8, (view) => view.setBigUint64(0, value));
  else if (value < 0n && value >= -(1n << 7n)) writeView(out, 0xd0, 1, (view) => view.setInt8(0, Number(value)));
  else if (value < 0n && value >= -(1n << 15n)) writeView(out, 0xd1, 2, (view) => view.setInt16(0, Number(value)));
  else if (value < 0n && value >= -(1n << 31n)) writeView(out, 0xd2, 4, (view) => view.setInt32(0, Number(value)));
  else if (value < 0n && value >= -(1n << 63n)) writeView(out, 0xd3, 8, (view) => view.setBigInt64(0, value));
  else unavailable('fields cannot hold so large an integer');
}
