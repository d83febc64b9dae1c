/**
 * How sealed tokens are laid out, and freshness tokens in them, for those who read them without a
 * key: nothing that is read here is to be believed, only compared.
 */

/** What a freshness token stands for: all that was committed up to a point of one history. */
export interface Token {
  readonly systemIdentifier: bigint;
  readonly timeline: number;
  /**
   * Which promotion to that timeline, 32 bits: two nodes can be promoted to one number. 0 where
   * nothing is recorded.
   */
  readonly promotion: number;
  readonly lsn: bigint;
  /**
   * `exact`: the primary's own word. `replayed`: a standby's, which does not know of a promotion
   * before its first row arrives: shortly behind a switch its timeline may be the former one.
   */
  readonly precision: 'exact' | 'replayed';
}

/** A sealed token taken apart; its payload is unverified. */
export interface SealedToken {
  readonly keyId: number;
  readonly payload: Buffer;
  readonly mac: Buffer;
}

/** Longer tokens are not looked at. */
export const TOKEN_LENGTH_MAX = 4_096;

/** Of the truncated HMAC-SHA256 at a token's end. */
export const MAC_BYTES = 16;

const VERSION = 1;
const HEADER_BYTES = 3;

/** System identifier, timeline, LSN, precision, promotion. */
const PAYLOAD_BYTES = 8 + 4 + 8 + 1 + 4;

/** Version, key id, payload, MAC; in base64url. */
export function formatSealed({ keyId, payload, mac }: SealedToken): string {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt8(VERSION, 0);
  header.writeUInt16BE(keyId, 1);
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

/** The payload of a freshness token. */
export function formatTokenPayload(token: Token): Buffer {
  const payload = Buffer.alloc(PAYLOAD_BYTES);
  payload.writeBigUInt64BE(token.systemIdentifier, 0);
  payload.writeUInt32BE(token.timeline, 8);
  payload.writeBigUInt64BE(token.lsn, 12);
  payload.writeUInt8(token.precision === 'exact' ? 0 : 1, 20);
  payload.writeUInt32BE(token.promotion, 21);
  return payload;
}

/** Reads the payload of a freshness token; undefined when it cannot be one. */
export function parseTokenPayload(payload: Buffer): Token | undefined {
  if (payload.length !== PAYLOAD_BYTES) return undefined;
  const timeline = payload.readUInt32BE(8);
  if (timeline === 0) return undefined;
  return {
    systemIdentifier: payload.readBigUInt64BE(0),
    timeline,
    lsn: payload.readBigUInt64BE(12),
    precision: payload.readUInt8(20) === 0 ? 'exact' : 'replayed',
    promotion: payload.readUInt32BE(21),
  };
}

/** The later of two points of one cluster; a higher timeline is later whatever its LSN. */
export function laterToken(a: Token, b: Token): Token {
  if (a.timeline !== b.timeline) return a.timeline > b.timeline ? a : b;
  return a.lsn >= b.lsn ? a : b;
}

/**
 * The text of the later of two tokens; empty is none. Where they cannot be compared, being of two
 * clusters or of no known form, the one that came last.
 */
export function laterTokenText(known: string, come: string): string {
  const [a, b] = [readToken(known), readToken(come)];
  if (come === '') return known;
  if (a === undefined || b === undefined) return come;
  if (a.systemIdentifier !== b.systemIdentifier) return come;
  return laterToken(a, b) === a ? known : come;
}

function readToken(text: string): Token | undefined {
  const sealed = parseSealed(text);
  return sealed && parseTokenPayload(sealed.payload);
}
