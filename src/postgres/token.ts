/**
 * Freshness tokens: a point in one history of one cluster. Untrusted input: signed, so that a
 * forged timeline cannot make the service doubt its primary.
 */

import { StowageError } from '../errors.js';
import {
  formatTokenPayload,
  parseSealed,
  parseTokenPayload,
  type Token,
} from '../lib/token-layout.js';
import { sealWith, type TokenKey, verifySealed } from './sealed.js';

const PURPOSE = 'freshness';

/** The token's text. */
export function formatToken(key: TokenKey, token: Token): string {
  return sealWith(key, PURPOSE, [], formatTokenPayload(token));
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
  const token = sealed && parseTokenPayload(sealed.payload);
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
