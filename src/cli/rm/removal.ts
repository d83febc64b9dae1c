/** What the ways to remove have in common: what they are asked for, and what they answer. */

import type { LongWork, StorageClient } from '../objects/long-work.js';
import type { ObjectOptions } from '../options.js';
import type { Shell } from '../output.js';

/** The options of `stowage rm`. */
export interface RemoveOptions extends ObjectOptions {
  readonly recursive: boolean;
  readonly force: boolean;
  readonly dryRun: boolean;
  readonly undo: boolean;
  readonly purge: boolean;
  readonly yes: boolean;
}

/** What to remove. */
export interface Removal {
  readonly client: StorageClient;
  readonly options: RemoveOptions;
  readonly shell: Shell;
  /** Keys; or folders, which end with a slash, with `--recursive`. */
  readonly names: readonly string[];
  readonly work: LongWork;
  /** Objects done so far. */
  count: number;
  /** What could not be done, of those that were named. */
  readonly failures: Failure[];
  /** Whether it was stopped before its end. */
  isCut: boolean;
}

/** A name with which nothing could be done. */
export interface Failure {
  readonly name: string;
  readonly reason: 'OBJECT_NOT_FOUND' | 'ALREADY_EXISTS';
}

/** At most this many objects a commit. */
export const batchSizeMax = 1000;

/** Whether to stop; asked only where something is left to do. */
export function mustStop(removal: Removal): boolean {
  removal.isCut ||= removal.work.isStopped;
  return removal.isCut;
}

/** Counts objects and shows it. */
export function count(removal: Removal, objects: number): void {
  removal.count += objects;
  removal.work.counter.show(removal.count);
}

/** Notes names under which nothing is. */
export function notFound(removal: Removal, names: readonly string[]): void {
  removal.failures.push(...names.map((name) => ({ name, reason: 'OBJECT_NOT_FOUND' }) as const));
}

/** Groups of at most {@link batchSizeMax}. */
export function batches<Item>(items: readonly Item[]): Item[][] {
  return Array.from({ length: Math.ceil(items.length / batchSizeMax) }, (_, index) =>
    items.slice(index * batchSizeMax, (index + 1) * batchSizeMax),
  );
}
