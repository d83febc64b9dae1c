/** Pages with folders. */

import type { Call } from '../postgres/call.js';
import type { Statement } from '../postgres/statement.js';
import { type FolderRow, folderPages } from './list-folders.sql.js';
import type { ListedPage, ListPosition } from './list-position.js';
import type { ObjectFilter } from './object-filter.js';
import { KEY_CEILING, prefixCeiling } from './object-keys.js';
import { toObject } from './object-row.js';
import type { Store } from './store.js';

/** Which folders. */
export interface Folding {
  readonly filter: ObjectFilter;
  /** Not empty. */
  readonly delimiter: string;
}

/** Reads the page behind a position: objects and folders, at most `rowsMax` together. */
export async function folderPage(
  store: Store,
  call: Call,
  folding: Folding,
  position: ListPosition,
  rowsMax: number,
): Promise<ListedPage> {
  const { statement, params } = folderStep(call, folding, position, rowsMax + 1);
  const rows = await store.router.run(statement, params, call);
  const taken = rows.slice(0, rowsMax);
  const last = taken.at(-1);
  const isMore = last !== undefined && taken.length < Number(last.page_rows);
  return {
    objects: taken.filter(({ folder }) => folder === '').map(toObject),
    folders: taken.map(({ folder }) => folder).filter((folder) => folder !== ''),
    hasRows: last !== undefined,
    next: isMore ? positionOf(last) : undefined,
  };
}

/** The statement of a page with its parameters; at most `limit` entries. */
export function folderStep(
  call: Pick<Call, 'project'>,
  { filter, delimiter }: Folding,
  { way, key }: ListPosition,
  limit: number,
): { statement: Statement<FolderRow>; params: unknown[] } {
  const { prefix, storageBackend, showDeleted } = filter;
  const after = way === 'folder' ? key + KEY_CEILING : key;
  const params = [call.project, after, prefix, prefixCeiling(prefix), limit, delimiter];
  if (showDeleted) return { statement: folderPages.all, params };
  if (storageBackend === '') return { statement: folderPages.live, params };
  return { statement: folderPages.liveOfBackend, params: [...params, storageBackend] };
}

function positionOf({ folder, object_key }: FolderRow): ListPosition {
  return folder === ''
    ? { way: 'open', value: '', key: object_key }
    : { way: 'folder', value: '', key: folder };
}
