/** Statements of a stream's slices: objects in the order of their keys, without a page's cut. */

import { type Statement, statement } from '../postgres/statement.js';
import { OBJECT } from './object-reads.sql.js';

/** The statements of one way to stream. */
interface Slices {
  /** Objects above $2, at or above $3 and below $4; at most $5. */
  readonly whole: Statement;
  /** The same, of those that have the backend $6, the class $7 and the metadata $8. */
  readonly filtered: Statement;
  /** The key that is $5 rows further on: where the next filtered slice may end. */
  readonly boundary: Statement<{ object_key: string }>;
}

/**
 * None asks for the project: a stream would end early and say that this is all. The rows of a
 * filtered slice come from a query of their own, which `offset` keeps the filters out of: else the
 * planner may read all that match from the index of the metadata, and sort it, for every slice.
 */
function slices(name: string, filter: string): Slices {
  const range = `
      where project_id = $1 and object_key > $2 and object_key >= $3 and object_key < $4${filter}
      order by object_key`;
  return {
    whole: statement({
      name: `stream-${name}`,
      intent: 'read',
      text: `
      select ${OBJECT}
      from storage_objects${range}
      limit $5`,
    }),
    filtered: statement({
      name: `stream-filtered-${name}`,
      intent: 'read',
      text: `
      select ${OBJECT}
      from (
      select ${OBJECT}
      from storage_objects${range}
      offset 0) as scanned
      where ($6 = '' or storage_backend = $6) and ($7 = '' or storage_class = $7)
        and ($8::jsonb is null or metadata @> $8)
      order by object_key
      limit $5`,
    }),
    boundary: statement<{ object_key: string }>({
      name: `find-boundary-of-${name}`,
      intent: 'read',
      text: `
      select object_key
      from storage_objects${range}
      offset $5 limit 1`,
    }),
  };
}

/** By whether deleted objects are shown and whether a backend ($6) is asked for. */
export const sliceStatements = {
  live: slices('objects', ' and deleted_at is null'),
  liveOfBackend: slices('backend-objects', ' and deleted_at is null and storage_backend = $6'),
  all: slices('all-objects', ''),
} as const;
