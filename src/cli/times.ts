/** Points in time as a person writes them: a date, a time, or how long ago. */

import { fromJson } from '@bufbuild/protobuf';
import { type Timestamp, TimestampSchema } from '@bufbuild/protobuf/wkt';
import { InvalidArgumentError } from 'commander';
import { fromMillis } from '../lib/timestamp.js';

const form = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(:\d\d(?:\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)?)?$/;

const secondsOf = { s: 1, min: 60, h: 3_600, d: 86_400 } as const;

/** What options that take such a time say of it. */
export const timeForms = '2024-03-01, 2024-03-01T09:30Z, or 2h or 7d for so long ago';

/** The time so long ago; undefined where the text is no duration. */
function ago(text: string): Timestamp | undefined {
  const [, count = '', unit = ''] = /^(\d{1,6}) ?(s|min|h|d)$/.exec(text) ?? [];
  if (count === '') return undefined;
  const seconds = Number(count) * secondsOf[unit as keyof typeof secondsOf];
  const { seconds: since, nanos } = fromMillis(Date.now() - seconds * 1000);
  return { $typeName: 'google.protobuf.Timestamp', seconds: since, nanos };
}

/** A time as it was given, and what that was when it was read. */
export interface PointInTime {
  readonly text: string;
  readonly time: Timestamp;
}

/** Reads a date (its midnight), a time, or how long ago; all are UTC where no zone is given. */
export function pointInTime(text: string): PointInTime {
  const long = ago(text);
  if (long !== undefined) return { text, time: long };
  const [, day, minute = '00:00', second = ':00', zone = 'Z'] = form.exec(text) ?? [];
  try {
    if (day !== undefined) {
      return { text, time: fromJson(TimestampSchema, `${day}T${minute}${second}${zone}`) };
    }
  } catch {
    // A day or an hour that is none: said below.
  }
  throw new InvalidArgumentError(`must be a time such as ${timeForms}.`);
}

/** Orders two times. */
export function compareTimes(a: Timestamp | undefined, b: Timestamp | undefined): number {
  const seconds = Number((a?.seconds ?? 0n) - (b?.seconds ?? 0n));
  return seconds === 0 ? (a?.nanos ?? 0) - (b?.nanos ?? 0) : seconds;
}
