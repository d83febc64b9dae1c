/** Removes for good: what is deleted already, and with `--force` what lives too. */

import { randomUUID } from 'node:crypto';
import { count, mustStop, notFound, type Removal } from './removal.js';

/** What would be removed, under all folders. */
export async function wouldPurge(removal: Removal): Promise<void> {
  const { client, options, names, work } = removal;
  for (const prefix of names) {
    if (mustStop(removal)) return;
    const request = { project: options.project, prefix, dryRun: true, force: options.force };
    const { objects } = await work.call((call) => client.purgeObjects(request, call));
    if (objects === 0n) notFound(removal, [prefix]);
    count(removal, Number(objects));
  }
}

/** Removes what is under each folder. */
export async function purgeFolders(removal: Removal): Promise<void> {
  const { client, options, names, work } = removal;
  for (const prefix of names) {
    const before = removal.count;
    let isMore = true;
    while (isMore && !mustStop(removal)) {
      const requestId = randomUUID();
      const request = { project: options.project, requestId, prefix, force: options.force };
      const { objects, more } = await work.call((call) => client.purgeObjects(request, call));
      count(removal, Number(objects));
      isMore = more;
    }
    if (removal.count === before && !removal.isCut) notFound(removal, [prefix]);
  }
}
