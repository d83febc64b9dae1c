/** Statements that give versions of one key: by their ids, and page by page. */

import { statement } from '../postgres/statement.js';
import { IN_PROJECT } from './object-reads.sql.js';
import { type CutRow, cutPage } from './page-cut.sql.js';
import { FACTS, NOTES, VERSION, type VersionRow, versionColumns } from './version-columns.js';

/** A version that was asked for, or a row that says that there is none of its id. */
export type AskedVersion = VersionRow | { readonly object_key: null };

/**
 * Versions of an object, deleted or not, a row for each of the ids $3 in their order; an empty id
 * is that of the latest. No row at all where there is no object. Each id is looked up by itself: a
 * join may be planned as one of all versions of the key.
 */
export const getVersions = statement<AskedVersion>({
  name: 'get-versions',
  intent: 'read',
  text: `
    select ${VERSION}
    from storage_objects o
    cross join unnest($3::text[]) with ordinality as asked (version_id, place)
    left join lateral (
      select ${FACTS}
      from storage_versions
      where project_id = o.project_id and object_key = o.object_key
        and version_id = case asked.version_id when '' then o.version_id else asked.version_id end
      offset 0
    ) as v on true
    ${NOTES}
    where o.project_id = $1 and o.object_key = $2${IN_PROJECT}
    order by asked.place`,
});

/** A version in its place among those of its key. */
export interface ListedVersion extends VersionRow, CutRow {
  readonly seq: bigint;
}

const TEXTS = [
  'object_key',
  'version_id',
  'etag',
  'content_type',
  'created_by',
  'comment',
  'tags::text',
  'restored_from',
] as const;

const COLUMNS = `seq, ${versionColumns.map(({ name }) => name).join(', ')}`;

/** Versions of an object that were recorded before $3, the newest first; at most $4, of 1 MiB. */
export const listVersions = statement<ListedVersion>({
  name: 'list-versions',
  intent: 'read',
  text: `
    with page as materialized (
      select v.seq, ${VERSION}
      from storage_objects o
      cross join lateral (
        select ${FACTS}
        from storage_versions
        where project_id = o.project_id and object_key = o.object_key and seq < $3
        order by seq desc
        limit $4
      ) as v
      ${NOTES}
      where o.project_id = $1 and o.object_key = $2${IN_PROJECT}
    )${cutPage(COLUMNS, 'seq desc', TEXTS)}`,
});
