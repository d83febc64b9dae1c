/**
 * Freshness tokens: a point in one history of one cluster. Untrusted input: signed, so that a
 * forged timeline cannot make the service doubt its primary.
 */

import { StowageError } from '../errors.js';
import type { Token } from './freshness.js';
import { parseSealed, type SealedToken, sealWith, type TokenKey, verifySealed } from './sealed.js';

const PURPOSE = 'freshness';

/** System identifier, timeline, LSN. */
const PAYLOAD_BYTES = 8 + 4 + 8;

/** The token's text. */
export function formatToken(key: TokenKey, token: Token): string {
  const payload = Buffer.alloc(PAYLOAD_BYTES);
  payload.writeBigUInt64BE(token.systemIdentifier, 0);
  payload.writeUInt32BE(token.timeline, 8);
  payload.writeBigUInt64BE(token.lsn, 12);
  return sealWith(key, PURPOSE, [], payload);
}

/**
 * Reads a token of this cluster.
 * @param findKey the key of an id, undefined where there is none.
 * @throws StowageError TOKEN_MALFORMED, TOKEN_FROM_OTHER_CLUSTER.
 */
export async function parseToken(
  text: string,
  systemIdentifier: bigint,
  findKey: (id: number) => Promise<TokenKey | undefined>,
): Promise<Token> {
  const sealed = parseSealed(text);
  const token = sealed && readToken(sealed);
  if (sealed === undefined || token === undefined) throw new StowageError('TOKEN_MALFORMED');
  // Told first, for another cluster has other keys: it is advice, and nothing is built on it.
  if (token.systemIdentifier !== systemIdentifier) {
    throw new StowageError('TOKEN_FROM_OTHER_CLUSTER');
  }
  const key = await findKey(sealed.keyId);
  if (key === undefined || !verifySealed(key, PURPOSE, [], sealed)) {
    throw new StowageError('TOKEN_MALFORMED');
  }
  return token;
}

function readToken({ payload }: SealedToken): Token | undefined {
  if (payload.length !== PAYLOAD_BYTES) return undefined;
  const timeline = payload.readUInt32BE(8);
  if (timeline === 0) return undefined;
  return {
    systemIdentifier: payload.readBigUInt64BE(0),
    timeline,
    lsn: payload.readBigUInt64BE(12),
  };
}

/** The later of two points; a higher timeline is later whatever its LSN. */
export function laterToken(a: Token, b: Token): Token {
  if (a.timeline !== b.timeline) return a.timeline > b.timeline ? a : b;
  return a.lsn >= b.lsn ? a : b;
}
