/** Positions in the write-ahead log. */

const LSN = /^([0-9A-F]{1,8})\/([0-9A-F]{1,8})$/;

/**
 * Reads PostgreSQL's text form, such as `1A/2B3C4D5E`.
 * @throws RangeError for anything else.
 */
export function parseLsn(text: string): bigint {
  const match = LSN.exec(text);
  if (match === null) throw new RangeError(`not an LSN: ${text}`);
  return (BigInt(`0x${match[1]}`) << 32n) | BigInt(`0x${match[2]}`);
}

/** PostgreSQL's text form of a position. */
export function formatLsn(lsn: bigint): string {
  const hex = (part: bigint) => part.toString(16).toUpperCase();
  return `${hex(lsn >> 32n)}/${hex(lsn & 0xffff_ffffn)}`;
}
