/** The error of this room. It names places, never contents: what it says may be logged. */

/** Bytes that are not what the encoder was compiled for, or more of them than a batch may hold. */
export class WireError extends Error {
  override readonly name = 'WireError';
}
