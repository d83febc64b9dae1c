/** What a request log keeps of a request, to tell it from another one. */

import { createHash } from 'node:crypto';
import { canonicalJson, type Json } from '../lib/canonical-json.js';

/** SHA-256 over everything that a request asks for. */
export function digestOf(...parts: readonly Json[]): Uint8Array {
  return createHash('sha256').update(canonicalJson(parts)).digest();
}
