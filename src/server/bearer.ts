/** Whether a caller has the token, told in constant time. */

import { createHash, timingSafeEqual } from 'node:crypto';

/** Makes the check of an `authorization` header against the token. */
export function bearerCheck(token: string): (authorization: string | undefined) => boolean {
  // Digests have one length, as the comparison in constant time demands.
  const expected = digest(`Bearer ${token}`);
  return (authorization = '') => {
    const given = digest(authorization.replace(/^bearer /i, 'Bearer '));
    return timingSafeEqual(given, expected);
  };
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
