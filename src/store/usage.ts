/** How many objects there are under a prefix, and of how many bytes. */

import { create } from '@bufbuild/protobuf';
import {
  type GetUsageResponse,
  GetUsageResponseSchema,
} from '../../gen/stowage/v1/storage_list_pb.js';
import type { Call } from '../postgres/call.js';
import { prefixCeiling } from './object-keys.js';
import { requireProject } from './objects.js';
import type { Store } from './store.js';
import { usages } from './usage.sql.js';

const FOLDERS_MAX = 1000;

/** What to count. */
export interface UsageQuestion {
  readonly prefix: string;
  /** Empty: no folders. */
  readonly delimiter: string;
  /** Empty: every backend. */
  readonly storageBackend: string;
}

/**
 * Counts live objects, exactly and at one state of the database. That reads them all.
 * @throws StowageError PROJECT_NOT_FOUND.
 */
export async function readUsage(
  store: Store,
  call: Call,
  { prefix, delimiter, storageBackend }: UsageQuestion,
): Promise<GetUsageResponse> {
  // One folder more than is listed tells whether there are more.
  const params = [call.project, prefix, prefixCeiling(prefix), delimiter, FOLDERS_MAX + 1];
  const [total, ...folders] =
    storageBackend === ''
      ? await store.router.run(usages.all, params, call)
      : await store.router.run(usages.ofBackend, [...params, storageBackend], call);
  const { objects = 0n, bytes = 0n } = total ?? {};
  if (objects === 0n) await requireProject(store, call);
  return create(GetUsageResponseSchema, {
    objects,
    bytes,
    folders: folders.slice(0, FOLDERS_MAX),
    truncated: folders.length > FOLDERS_MAX,
  });
}
