/**
 * Page tokens: where the next page begins, sealed, and bound to the method, project, caller and
 * arguments they were made for, so that a foreign or altered one is refused rather than obeyed.
 */

import { StowageError } from '../errors.js';
import type { Call } from '../postgres/call.js';
import type { Sealer } from '../postgres/sealed.js';
import { tokenBinding } from './token-binding.js';

/** The token for the page behind a key. */
export function sealPageToken(
  sealer: Sealer,
  call: Call,
  args: readonly string[],
  lastKey: string,
): Promise<string> {
  return sealer.seal('page', tokenBinding(call, args), Buffer.from(lastKey));
}

/**
 * The key behind which the page begins; empty for the first page.
 * @throws StowageError PAGE_TOKEN_INVALID.
 */
export async function openPageToken(
  sealer: Sealer,
  call: Call,
  args: readonly string[],
  token: string,
): Promise<string> {
  if (token === '') return '';
  const payload = await sealer.open('page', tokenBinding(call, args), token);
  if (payload === undefined) throw new StowageError('PAGE_TOKEN_INVALID');
  return Buffer.from(payload).toString();
}
