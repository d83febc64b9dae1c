/**
 * Reads request JSON more strictly than JSON.parse: text must be UTF-8, a number must be one that
 * survived the reading, and so must a key.
 */

import { toConnectError } from './connect-call.js';
import { protoKeyRule } from './proto-key.js';
import type { CallIds } from './status.js';
import { malformed } from './validation.js';

/**
 * Could hold an integer past 2^53 - 1, or `__proto__` with any of its characters escaped; most
 * texts do not, and need no second look.
 */
const suspicious =
  /\d{16}|\d[eE]\+?\d|(?:_|\\u005[fF]){2}(?:p|\\u0070)(?:r|\\u0072)(?:o|\\u006[fF])/;

/** The call is not there yet: whoever catches the error says whose it is. */
const notYetKnown: CallIds = { requestId: '', trace: undefined };

/**
 * Stands in for Connect's TextDecoder, the one place that sees a request's JSON unparsed.
 * Throws ConnectErrors, which Connect passes on as they are.
 */
export class StrictJsonDecoder {
  readonly #utf8 = new TextDecoder('utf-8', { fatal: true });

  decode(bytes: Uint8Array): string {
    const text = this.#decodeUtf8(bytes);
    if (suspicious.test(text)) {
      refuseLosses(text);
    }
    return text;
  }

  #decodeUtf8(bytes: Uint8Array): string {
    try {
      return this.#utf8.decode(bytes);
    } catch {
      throw toConnectError(malformed('the JSON is not UTF-8'), notYetKnown);
    }
  }
}

function refuseLosses(text: string): void {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return; // protobuf-es says it better.
  }
  const pending: [path: string, value: unknown][] = [['', json]];
  for (let entry = pending.pop(); entry !== undefined; entry = pending.pop()) {
    const [path, value] = entry;
    if (typeof value === 'number' && Number.isInteger(value) && !Number.isSafeInteger(value)) {
      const rule = 'must be an integer within 2^53 - 1; send a larger one as a string';
      throw toConnectError(malformed(rule, undefined, path), notYetKnown);
    }
    if (typeof value === 'object' && value !== null) {
      if (Object.hasOwn(value, '__proto__')) {
        throw toConnectError(malformed(protoKeyRule, undefined, path), notYetKnown);
      }
      for (const [key, item] of Object.entries(value)) {
        pending.push([join(path, key, Array.isArray(value)), item]);
      }
    }
  }
}

function join(path: string, key: string, isIndex: boolean): string {
  if (isIndex) {
    return `${path}[${key}]`;
  }
  return path === '' ? key : `${path}.${key}`;
}
