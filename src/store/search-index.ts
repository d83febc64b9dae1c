/**
 * The one function that writes the search index. It goes by keys and looks at what their objects
 * are now, not at what was done to them, so that it serves every kind of change and may run later
 * than the change itself.
 */

import type { Transaction } from '../postgres/router-api.js';
import { indexKeys } from './search-index.sql.js';

/**
 * Brings the search index of some keys in line with their objects.
 * @throws StowageError what the router throws.
 */
export async function indexForSearch(
  transaction: Transaction,
  project: string,
  objectKeys: readonly string[],
): Promise<void> {
  if (objectKeys.length === 0) return;
  await transaction.run(indexKeys, [project, objectKeys]);
}
