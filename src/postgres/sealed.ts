/**
 * Sealed tokens: bytes that travel through callers and come back unaltered or not at all. They are
 * signed, not encrypted, and good only for the purpose and binding they were made for.
 */

import { createHmac, timingSafeEqual } from 'node:crypto';
import { formatSealed, MAC_BYTES, type SealedToken } from '../lib/token-layout.js';

/** Makes and opens page and resume tokens; keys come from the database at first use. */
export interface Sealer {
  /**
   * Signs a payload. `binding` is what a token is good for: method, project, principal, arguments.
   * @returns base64url text.
   * @throws StowageError when the keys cannot be read.
   */
  seal(purpose: string, binding: readonly string[], payload: Uint8Array): Promise<string>;
  /**
   * The payload; undefined when the token is altered, or made for something else.
   * @throws StowageError when the keys cannot be read.
   */
  open(purpose: string, binding: readonly string[], token: string): Promise<Uint8Array | undefined>;
}

/** A key that signs. */
export interface TokenKey {
  /** 0 to 32,767; travels in the token. */
  readonly id: number;
  readonly secret: Buffer;
}

/** Version, key id, payload, truncated HMAC-SHA256; in base64url. */
export function sealWith(
  key: TokenKey,
  purpose: string,
  binding: readonly string[],
  payload: Uint8Array,
): string {
  const mac = macOf(key, purpose, binding, payload);
  return formatSealed({ keyId: key.id, payload: Buffer.from(payload), mac });
}

/** True when the key has signed the token for this purpose and binding. In constant time. */
export function verifySealed(
  key: TokenKey,
  purpose: string,
  binding: readonly string[],
  { payload, mac }: SealedToken,
): boolean {
  return timingSafeEqual(macOf(key, purpose, binding, payload), mac);
}

/** Each part is preceded by its length, so that no two bindings give the same bytes. */
function macOf(
  key: TokenKey,
  purpose: string,
  binding: readonly string[],
  payload: Uint8Array,
): Buffer {
  const hmac = createHmac('sha256', key.secret);
  for (const part of [purpose, `${key.id}`, ...binding]) {
    const bytes = Buffer.from(part);
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    hmac.update(length).update(bytes);
  }
  return hmac.update(payload).digest().subarray(0, MAC_BYTES);
}
