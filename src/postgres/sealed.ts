/**
 * Sealed tokens: bytes that travel through callers and come back unaltered or not at all. They are
 * signed, not encrypted, and good only for the purpose and binding they were made for.
 */

import { createHmac, timingSafeEqual } from 'node:crypto';

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

/** Longer tokens are not looked at. */
export const TOKEN_LENGTH_MAX = 4_096;

const VERSION = 1;
const HEADER_BYTES = 3;
const MAC_BYTES = 16;

/** A token taken apart; nothing of it is to be believed before {@link verifySealed}. */
export interface SealedToken {
  readonly keyId: number;
  readonly payload: Buffer;
  readonly mac: Buffer;
}

/** Version, key id, payload, truncated HMAC-SHA256; in base64url. */
export function sealWith(
  key: TokenKey,
  purpose: string,
  binding: readonly string[],
  payload: Uint8Array,
): string {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt8(VERSION, 0);
  header.writeUInt16BE(key.id, 1);
  const mac = macOf(key, purpose, binding, payload);
  return Buffer.concat([header, payload, mac]).toString('base64url');
}

/** Takes a token apart; undefined when it cannot be one. */
export function parseSealed(token: string): SealedToken | undefined {
  if (token.length > TOKEN_LENGTH_MAX) return undefined;
  const bytes = Buffer.from(token, 'base64url');
  // The decoder skips what is not base64url: two texts must not be one token.
  if (bytes.toString('base64url') !== token) return undefined;
  if (bytes.length < HEADER_BYTES + MAC_BYTES || bytes[0] !== VERSION) return undefined;
  return {
    keyId: bytes.readUInt16BE(1),
    payload: bytes.subarray(HEADER_BYTES, -MAC_BYTES),
    mac: bytes.subarray(-MAC_BYTES),
  };
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
