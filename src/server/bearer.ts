/** Whether a caller shows the token that the settings demand, told in constant time. */

import { createHash, timingSafeEqual } from 'node:crypto';

/** Judges the `authorization` header of a request. */
export type BearerCheck = (authorization: string | undefined) => boolean;

/** Everybody passes where no token is set. */
export function bearerCheck(token: string | undefined): BearerCheck {
  if (token === undefined) return () => true;
  // Digests have one length, as the comparison in constant time demands.
  const expected = digest(`Bearer ${token}`);
  return (authorization = '') =>
    timingSafeEqual(digest(authorization.replace(/^bearer /i, 'Bearer ')), expected);
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
