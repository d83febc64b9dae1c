/** Statements of StreamVersions: versions in the order of their keys, the newest of a key first. */

import { type Statement, statement } from '../postgres/statement.js';
import { FACTS, NOTES, VERSION } from './version-columns.js';

/**
 * Some versions with all that belongs to them, which is looked up for those alone. Behind what the
 * message has stands what the stream's position needs. The object's row tells which version is the
 * latest; a purge may have taken it just now.
 */
const versionsOf = (some: string) => `
    select ${VERSION}, v.seq
    from (
      select ${FACTS}
      from storage_versions${some}
    ) as v
    left join storage_objects as o on o.project_id = v.project_id and o.object_key = v.object_key
    ${NOTES}
    order by v.object_key, v.seq desc`;

/** Versions of the keys above $2, at or above $3 and below $4, in the snapshot $6; at most $5. */
export const streamVersions: Statement = statement({
  name: 'stream-versions',
  intent: 'read',
  text: versionsOf(`
      where project_id = $1 and object_key > $2 and object_key >= $3 and object_key < $4
        and pg_visible_in_snapshot(xid, $6::pg_snapshot)
      order by object_key, seq desc
      limit $5`),
});

/** Versions of the key $2 that are older than the one with the seq $3; at most $4. */
export const streamOlderVersions: Statement = statement({
  name: 'stream-older-versions',
  intent: 'read',
  text: versionsOf(`
      where project_id = $1 and object_key = $2 and seq < $3
        and pg_visible_in_snapshot(xid, $5::pg_snapshot)
      order by object_key, seq desc
      limit $4`),
});

/** The key of the version that is $5 further on: where the next slice may end. */
export const versionsBoundary = statement<{ readonly object_key: string }>({
  name: 'find-boundary-of-versions',
  intent: 'read',
  text: `
    select object_key
    from storage_versions
    where project_id = $1 and object_key > $2 and object_key >= $3 and object_key < $4
    order by object_key
    offset $5 limit 1`,
});
