/** Takes deletions back. There is no batch for it, so a few calls run at once. */

import { randomUUID } from 'node:crypto';
import { toStowageError } from '../../client/index.js';
import { listPages } from '../objects/listing.js';
import { patientList } from '../objects/long-work.js';
import { mapOrdered } from '../scan/ordered.js';
import { count, type Failure, mustStop, notFound, type Removal } from './removal.js';

/** Calls under way at once. */
const concurrency = 8;

async function undelete(removal: Removal, objectKey: string): Promise<Failure | undefined> {
  const { client, options, work } = removal;
  const request = { project: options.project, requestId: randomUUID(), objectKey };
  try {
    await work.call((call) => client.undeleteObject(request, call));
    count(removal, 1);
    return undefined;
  } catch (error) {
    const { reason } = toStowageError(error);
    if (reason !== 'OBJECT_NOT_FOUND' && reason !== 'ALREADY_EXISTS') throw error;
    return { name: objectKey, reason };
  }
}

/** Takes the deletions of these keys back; answers how many it could not. */
async function undeleteAll(removal: Removal, keys: AsyncIterable<string>): Promise<Failure[]> {
  const failures: Failure[] = [];
  const one = (key: string) => undelete(removal, key);
  for await (const failure of mapOrdered(keys, one, concurrency)) {
    if (failure !== undefined) failures.push(failure);
  }
  return failures;
}

async function* named(removal: Removal): AsyncGenerator<string, void, void> {
  for (const key of removal.names) {
    if (mustStop(removal)) return;
    yield key;
  }
}

/** Takes back the deletions of the keys that are named. */
export async function undoKeys(removal: Removal): Promise<void> {
  removal.failures.push(...(await undeleteAll(removal, named(removal))));
}

async function* deletedKeys(removal: Removal, prefix: string): AsyncGenerator<string, void, void> {
  const { client, options, work } = removal;
  const request = { project: options.project, prefix, showDeleted: true };
  for await (const entries of listPages(patientList(client, work), request)) {
    for (const { key, object } of entries) {
      if (mustStop(removal)) return;
      if (object?.deletedAt !== undefined) yield key;
    }
  }
}

/** Takes back every deletion under each folder, whenever it was. */
export async function undoFolders(removal: Removal): Promise<void> {
  for (const prefix of removal.names) {
    if (mustStop(removal)) return;
    const before = removal.count;
    // One that somebody else took back or purged meanwhile is as it should be.
    await undeleteAll(removal, deletedKeys(removal, prefix));
    if (removal.count === before && !removal.isCut) notFound(removal, [prefix]);
  }
}
