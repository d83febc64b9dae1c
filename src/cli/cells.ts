/** What stands in cells: times, sizes and counts as a person reads them. */

import { toJson } from '@bufbuild/protobuf';
import { type Timestamp, TimestampSchema } from '@bufbuild/protobuf/wkt';
import { formatBytes, formatCount, formatPlural } from './scan/format.js';

/** The time with all that is known of it, in UTC; empty where there is none. */
export function exactTime(time: Timestamp | undefined): string {
  return time === undefined ? '' : toJson(TimestampSchema, time);
}

/** The time to its second, in UTC; all have the same length. */
export function shortTime(time: Timestamp | undefined): string {
  return exactTime(time).replace(/\.\d+/, '');
}

/** How sizes are shown: `1.5 GiB`, or every byte. */
export function sizeText(bytes: bigint, isExact: boolean): string {
  return isExact ? formatCount(bytes) : formatBytes(bytes);
}

/** A size as a person reads it, and to the byte. */
export function wholeSize(size: bigint): string {
  const bytes = formatPlural(size, 'byte', 'bytes');
  return size < 1024n ? bytes : `${formatBytes(size)} (${bytes})`;
}
