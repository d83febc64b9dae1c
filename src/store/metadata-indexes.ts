/** Which paths of the metadata can be compared. */

import { invalidField } from '../errors.js';
import type { Call } from '../postgres/call.js';
import { findMetadataIndex } from './list-pages.sql.js';
import type { MetadataRange } from './metadata-range.js';
import type { Store } from './store.js';

/**
 * Throws where the path of a range has no index that is ready.
 * @throws StowageError INVALID_REQUEST with the command that makes one.
 */
export async function requireMetadataIndex(
  store: Store,
  call: Call,
  { type, names }: MetadataRange,
): Promise<void> {
  const [row] = await store.router.run(findMetadataIndex, [type, names], call);
  if (row?.found) return;
  const command = `stowage index add metadata.${names.join('.')} --type ${type}`;
  throw invalidField(
    'metadata_comparisons[0].path',
    `has no index for values of type ${type} that is ready; run \`${command}\``,
  );
}
