/** Which objects a listing or a stream is about, as statement and parameters. */

import { prefixCeiling } from './object-keys.js';
import { listings } from './object-reads.sql.js';

/** The arguments that listings and streams share. */
export interface ObjectFilter {
  readonly prefix: string;
  /** Empty: every backend. */
  readonly storageBackend: string;
  readonly showDeleted: boolean;
}

/** The statements for a filter. */
export function listingOf(filter: ObjectFilter): (typeof listings)['live'] {
  if (filter.storageBackend === '') return filter.showDeleted ? listings.all : listings.live;
  return filter.showDeleted ? listings.allOfBackend : listings.liveOfBackend;
}

/** Their parameters: at most `rowsMax` objects behind `afterKey`. */
export function listingParams(
  project: string,
  filter: ObjectFilter,
  afterKey: string,
  rowsMax: number,
): unknown[] {
  const { prefix, storageBackend } = filter;
  const params: unknown[] = [project, afterKey, prefix, prefixCeiling(prefix), rowsMax];
  return storageBackend === '' ? params : [...params, storageBackend];
}

/** What a page or resume token is bound to beside its call. */
export function filterBinding(filter: ObjectFilter): string[] {
  return [filter.prefix, filter.storageBackend, String(filter.showDeleted)];
}
