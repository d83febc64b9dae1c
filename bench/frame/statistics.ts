/**
 * The statistics of a few repetitions: the median, and how far it can be trusted. Refuses means: on
 * a machine that does other things too, one slow repetition would move them.
 */

/** Below this, quartiles say nothing. */
export const SAMPLES_MIN = 3;

/**
 * The value below which a share `q` (0 to 1) of the values lies, linear between neighbours.
 * @throws {Error} where there are no values
 */
export function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const place = (sorted.length - 1) * q;
  const below = sorted[Math.floor(place)];
  const above = sorted[Math.ceil(place)];
  if (below === undefined || above === undefined) throw new Error('there are no values');
  return below + (above - below) * (place - Math.floor(place));
}

/** @throws {Error} where there are no values */
export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/**
 * The spread: the distance of the quartiles over the median; undefined for fewer than three
 * values, and for different ones around 0. Not maximum less minimum, which one disturbed repetition
 * decides.
 */
export function spread(values: readonly number[]): number | undefined {
  if (values.length < SAMPLES_MIN) return undefined;
  const distance = quantile(values, 0.75) - quantile(values, 0.25);
  if (distance === 0) return 0;
  const middle = Math.abs(median(values));
  return middle === 0 ? undefined : distance / middle;
}
