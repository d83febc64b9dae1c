/** Where a stream stands, as its resume token carries it. */

import { StowageError } from '../errors.js';
import type { Call } from '../postgres/call.js';
import type { Sealer } from '../postgres/sealed.js';
import { tokenBinding } from './token-binding.js';

/** What was sent so far, resumes included. */
export interface Position {
  /** The key of the last item, or of a later one that was passed over; empty before the first. */
  readonly lastKey: string;
  readonly items: number;
  readonly bytes: number;
  readonly crc32: number;
  /** The latest freshness token of what was read for it; empty where none was to be had. */
  readonly token: string;
}

/** Where every stream begins. */
export const START: Position = { lastKey: '', items: 0, bytes: 0, crc32: 0, token: '' };

/** Two 48-bit counters, a CRC-32 and the length of the token before the token and the key. */
const HEADER_BYTES = 17;

/** The resume token of a position. */
export function sealPosition(
  sealer: Sealer,
  call: Call,
  args: readonly string[],
  position: Position,
): Promise<string> {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUIntBE(position.items, 0, 6);
  header.writeUIntBE(position.bytes, 6, 6);
  header.writeUInt32BE(position.crc32, 12);
  const token = Buffer.from(position.token, 'latin1');
  header.writeUInt8(token.length, 16);
  const payload = Buffer.concat([header, token, Buffer.from(position.lastKey)]);
  return sealer.seal('resume', tokenBinding(call, args), payload);
}

/**
 * The position of a resume token; the start for an empty one.
 * @throws StowageError RESUME_TOKEN_MISMATCH.
 */
export async function openPosition(
  sealer: Sealer,
  call: Call,
  args: readonly string[],
  token: string,
): Promise<Position> {
  if (token === '') return START;
  const opened = await sealer.open('resume', tokenBinding(call, args), token);
  if (opened === undefined) throw new StowageError('RESUME_TOKEN_MISMATCH');
  const payload = Buffer.from(opened);
  const keyAt = HEADER_BYTES + payload.readUInt8(16);
  return {
    items: payload.readUIntBE(0, 6),
    bytes: payload.readUIntBE(6, 6),
    crc32: payload.readUInt32BE(12),
    token: payload.toString('latin1', HEADER_BYTES, keyAt),
    lastKey: payload.toString('utf8', keyAt),
  };
}
