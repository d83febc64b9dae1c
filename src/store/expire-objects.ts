/** What `purge_at` promises: objects whose time has come are purged, deleted or not. */

import { create } from '@bufbuild/protobuf';
import { PurgeObjectsResponseSchema } from '../../gen/stowage/v1/storage_purge_pb.js';
import type { Call } from '../postgres/call.js';
import type { Router, Transaction } from '../postgres/router-api.js';
import { commit, type Writer } from './commit.js';
import type { PurgeCriteria } from './purge-criteria.js';
import { purgeMatching } from './purge-objects.js';
import { dueProjects, lockDoomedOrSkip } from './purge-objects.sql.js';

/** Projects that are looked for at once: as many as a run of the job has commits. */
const PROJECTS_MAX = 100;

const DUE: PurgeCriteria = {
  prefix: '',
  storageBackend: '',
  purgeDue: true,
  force: true,
};

/** Projects behind `after` that have something due, in the order of their ids; at most 100. */
export async function projectsWithDue(
  router: Router,
  call: Call,
  after: string,
): Promise<string[]> {
  const rows = await router.run(dueProjects, [after, PROJECTS_MAX], call);
  return rows.map((row) => row.project_id);
}

/**
 * Purges what is due in the call's project, as much as one commit takes, and gives how many objects
 * that was; undefined where it may not. What others have locked is left for the next time. Objects
 * of a deleted project go too: its deletion was no reason to keep them for longer.
 * @param mayWrite asked first in the transaction; where it says no, nothing is done
 * @throws StowageError as `commit` does.
 */
export async function expireObjects(
  writer: Writer,
  call: Call,
  mayWrite: (transaction: Transaction) => Promise<boolean>,
): Promise<number | undefined> {
  let isAllowed = false;
  const { response } = await commit(writer, call, {
    action: 'PURGE_OBJECT',
    requestId: '',
    digest: () => new Uint8Array(),
    projectMustExist: false,
    responseSchema: PurgeObjectsResponseSchema,
    async write(transaction) {
      isAllowed = await mayWrite(transaction);
      return isAllowed
        ? purgeMatching(transaction, call.project, DUE, lockDoomedOrSkip)
        : { response: create(PurgeObjectsResponseSchema), changes: [] };
    },
  });
  return isAllowed ? Number(response.objects) : undefined;
}
