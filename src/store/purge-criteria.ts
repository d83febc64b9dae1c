/** Which objects are to be purged, as statements and parameters. */

import type { TimestampValue } from '../lib/timestamp.js';
import { prefixCeiling } from './object-keys.js';
import { type Selection, selections } from './purge-objects.sql.js';

/** What a purge asks for; all of it holds. */
export interface PurgeCriteria {
  /** Empty: every key. */
  readonly prefix: string;
  /** Empty: every backend. */
  readonly storageBackend: string;
  /** Undefined: whenever it was deleted. */
  readonly deletedBefore?: TimestampValue | undefined;
  /** Only what has a `purge_at` that has passed. */
  readonly purgeDue: boolean;
  /** Live objects too. */
  readonly force: boolean;
}

/**
 * The ways to everything that fits. What is due is few beside what is deleted, and what was deleted
 * long ago is few beside what lives; live and deleted objects have an index each, so a million of
 * one do not stand between some of the other. The live ones come first: what is deleted between the
 * two is then chosen by both rather than by neither.
 */
export function selectionsOf(criteria: PurgeCriteria): readonly Selection[] {
  const { prefix, storageBackend, deletedBefore, purgeDue, force } = criteria;
  if (purgeDue) return [selections.due];
  // What lives was never deleted: `force` finds nothing more.
  if (deletedBefore !== undefined) {
    return [prefix === '' ? selections.longDeleted : selections.deleted];
  }
  if (!force) return [selections.deleted];
  return [storageBackend === '' ? selections.live : selections.liveOfBackend, selections.deleted];
}

/** The parameters that all of these statements begin with. */
export function criteriaParams(project: string, criteria: PurgeCriteria): unknown[] {
  const { prefix, storageBackend, deletedBefore, purgeDue, force } = criteria;
  const before = deletedBefore ?? null;
  return [project, prefix, prefixCeiling(prefix), storageBackend, before, purgeDue, force];
}
