/** Deletes softly, a batch a commit; what is deleted can be taken back. */

import { randomUUID } from 'node:crypto';
import { strong } from '../call.js';
import { listPages } from '../objects/listing.js';
import { patientList } from '../objects/long-work.js';
import { batches, count, mustStop, notFound, type Removal } from './removal.js';

/** Deletes these keys and answers those that were not there. */
async function deleteBatch(removal: Removal, keys: readonly string[]): Promise<string[]> {
  const { client, options, work } = removal;
  const requests = keys.map((objectKey) => ({ objectKey, allowMissing: true }));
  const request = { project: options.project, requestId: randomUUID(), requests };
  const { results } = await work.call((call) => client.batchDeleteObjects(request, call));
  const missing = keys.filter((_, index) => results[index]?.deleted !== true);
  count(removal, keys.length - missing.length);
  return missing;
}

/** Deletes the keys that are named. */
export async function deleteKeys(removal: Removal): Promise<void> {
  for (const keys of batches(removal.names)) {
    if (mustStop(removal)) return;
    notFound(removal, await deleteBatch(removal, keys));
  }
}

/** Deletes what is under each folder. What comes in between, before the place reached, stays. */
export async function deleteFolders(removal: Removal): Promise<void> {
  const { client, options, names, work } = removal;
  const list = patientList(client, work);
  for (const prefix of names) {
    let found = 0;
    for await (const entries of listPages(list, { project: options.project, prefix })) {
      if (mustStop(removal)) return;
      found += entries.length;
      const keys = entries.map(({ key }) => key);
      if (keys.length > 0) await deleteBatch(removal, keys);
    }
    if (found === 0) notFound(removal, [prefix]);
  }
}

/** Counts what {@link deleteKeys} would delete. */
export async function wouldDeleteKeys(removal: Removal): Promise<void> {
  const { client, options, names, work } = removal;
  for (const keys of batches(names)) {
    let objectKeys = keys;
    while (objectKeys.length > 0 && !mustStop(removal)) {
      const request = { project: options.project, objectKeys, freshness: strong };
      const answer = await work.call((call) => client.batchGetObjects(request, call));
      notFound(removal, answer.missingObjectKeys);
      count(removal, answer.objects.length);
      objectKeys = answer.remainingObjectKeys;
    }
  }
}

/** Counts what {@link deleteFolders} would delete. */
export async function wouldDeleteFolders(removal: Removal): Promise<void> {
  const { client, options, names, work } = removal;
  for (const prefix of names) {
    if (mustStop(removal)) return;
    const request = { project: options.project, prefix, freshness: strong };
    const { objects } = await work.call((call) => client.getUsage(request, call));
    if (objects === 0n) notFound(removal, [prefix]);
    count(removal, Number(objects));
  }
}
