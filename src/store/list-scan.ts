/**
 * Pages without folders: by a bounded scan in the list's order, or, where a metadata filter lets
 * little through, by the index of the metadata.
 */

import type { Call } from '../postgres/call.js';
import type { Statement } from '../postgres/statement.js';
import { listMatching } from './list-matching.sql.js';
import type { ListOrder } from './list-order.js';
import { type ListRow, pages, SCAN_ROWS, type ScannedRow } from './list-pages.sql.js';
import type { ListedPage, ListPosition, Way } from './list-position.js';
import type { MetadataRange } from './metadata-range.js';
import { metadataText, type ObjectFilter } from './object-filter.js';
import { prefixCeiling } from './object-keys.js';
import { toObject } from './object-row.js';
import type { Store } from './store.js';

/** What a page is looked for by. */
export interface Scan {
  readonly filter: ObjectFilter;
  readonly order: ListOrder;
  /** Of the comparisons; the order is then theirs. */
  readonly range: MetadataRange | undefined;
}

/** Reads the page behind a position. */
export async function scanPage(
  store: Store,
  call: Call,
  scan: Scan,
  position: ListPosition,
  rowsMax: number,
): Promise<ListedPage> {
  const isRare = scan.range === undefined && metadataText(scan.filter) !== undefined;
  if (isRare && position.way === 'index') {
    const found = await matchingPage(store, call, scan, position, rowsMax);
    if (found !== undefined) return found;
  }
  // One row more than asked tells whether there is a next page.
  const { statement, params } = scanStep(call, scan, position, rowsMax + 1);
  const scanned = await store.router.run(statement, params, call);
  if (scanned[0]?.is_indexed === false) return { ...pageOf([], rowsMax, 'open'), isIndexed: false };
  const rows = scanned.filter((row): row is ListRow => row.object_key !== null);
  const page = pageOf(rows, rowsMax, position.way === 'index' ? 'scan' : position.way);
  const isCutShort = page.next !== undefined && rows.at(-1)?.scan_place === BigInt(SCAN_ROWS);
  if (!isRare || !isCutShort || position.way !== 'open') return page;
  const found = await matchingPage(store, call, scan, position, rowsMax);
  return found ?? pageOf(rows, rowsMax, 'scan');
}

/** The statement of a scan with its parameters; at most `limit` rows. */
export function scanStep(
  call: Pick<Call, 'project'>,
  { filter, order, range }: Scan,
  { value, key }: ListPosition,
  limit: number,
): { statement: Statement<ScannedRow>; params: unknown[] } {
  const params = filterParams(call, filter, limit);
  if (range !== undefined) {
    const { type, names, below } = range;
    const ends = [names, key, value, below.key, below.value];
    return { statement: pages.metadata[type], params: [...params, ...ends] };
  }
  const direction = order.isDescending ? 'descending' : 'ascending';
  switch (order.field) {
    case 'object_key':
      return { statement: keyPages(filter)[direction], params: [...params, key] };
    case 'last_modified':
      return { statement: pages.lastModified[direction], params: [...params, key, value] };
    case 'size':
      return { statement: pages.size[direction], params: [...params, key, value] };
  }
}

function keyPages({ showDeleted, storageBackend }: ObjectFilter) {
  const { all, live, liveOfBackend } = pages.objectKey;
  if (showDeleted) return all;
  return storageBackend === '' ? live : liveOfBackend;
}

function filterParams({ project }: Pick<Call, 'project'>, filter: ObjectFilter, limit: number) {
  const { prefix, storageBackend, storageClass } = filter;
  const metadata = metadataText(filter);
  return [project, prefix, prefixCeiling(prefix), limit, storageBackend, storageClass, metadata];
}

/** Undefined where too much matches for the index to be a help. */
async function matchingPage(
  store: Store,
  call: Call,
  { filter, order }: Scan,
  { value, key }: ListPosition,
  rowsMax: number,
): Promise<ListedPage | undefined> {
  const params = [
    ...filterParams(call, filter, rowsMax + 1),
    ...[key, value, order.field, order.isDescending, filter.showDeleted],
  ];
  const rows = await store.router.run(listMatching, params, call);
  return rows[0]?.scan_place === 0n ? undefined : pageOf(rows, rowsMax, 'index');
}

function pageOf(rows: readonly ListRow[], rowsMax: number, way: Way): ListedPage {
  const taken = rows.slice(0, rowsMax);
  const last = taken.at(-1);
  const isMore =
    last !== undefined &&
    (taken.length < Number(last.page_rows) || last.scan_place === BigInt(SCAN_ROWS));
  return {
    objects: taken.filter(({ matches }) => matches).map(toObject),
    folders: [],
    hasRows: last !== undefined,
    next: isMore ? { way, value: last.position_value, key: last.object_key } : undefined,
  };
}
