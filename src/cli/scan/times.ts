/** A file's time as the service keeps it: in whole microseconds, within the years 1 to 9999. */

const minMicros = -62_135_596_800_000_000n;
const maxMicros = 253_402_300_799_999_999n;
const microsPerSecond = 1_000_000n;

function floorDivide(value: bigint, divisor: bigint): bigint {
  const quotient = value / divisor;
  return value < 0n && value % divisor !== 0n ? quotient - 1n : quotient;
}

/** Nanoseconds since 1970 cut to microseconds; times that cannot be recorded move to the bound. */
export function wholeMicros(timeNs: bigint): bigint {
  const micros = floorDivide(timeNs, 1000n);
  if (micros < minMicros) return minMicros;
  return micros > maxMicros ? maxMicros : micros;
}

/** {@link wholeMicros} as a protobuf timestamp. */
export function timestampOfNs(timeNs: bigint): { seconds: bigint; nanos: number } {
  const micros = wholeMicros(timeNs);
  const seconds = floorDivide(micros, microsPerSecond);
  return { seconds, nanos: Number(micros - seconds * microsPerSecond) * 1000 };
}
