/** Points in time between protobuf's seconds and nanoseconds and PostgreSQL's microseconds. */

/** The shape of google.protobuf.Timestamp; also what a `timestamptz` column is read as. */
export interface TimestampValue {
  /** Since 1970-01-01T00:00:00Z. */
  readonly seconds: bigint;
  /** 0 to 999,999,999. */
  readonly nanos: number;
}

/** The time as PostgreSQL reads it, cut to whole microseconds; for the years 1 to 9999. */
export function toIsoMicros(time: TimestampValue): string {
  const text = new Date(Number(time.seconds) * 1000).toISOString();
  const micros = String(Math.floor(time.nanos / 1000)).padStart(6, '0');
  return `${text.slice(0, -5)}.${micros}Z`;
}

/** The time cut to whole microseconds, as PostgreSQL will keep it. */
export function cutToMicros(time: TimestampValue): TimestampValue {
  return { seconds: time.seconds, nanos: time.nanos - (time.nanos % 1000) };
}

/** A time in milliseconds since 1970, as `Date.now()` gives it. */
export function fromMillis(millis: number): TimestampValue {
  const seconds = Math.floor(millis / 1000);
  return { seconds: BigInt(seconds), nanos: Math.round((millis - seconds * 1000) * 1e6) };
}
