/**
 * Statements that give a page of a list without folders. Whatever is asked for, a page looks at no
 * more than `SCAN_ROWS` rows behind its position: it reads an index in the list's order and drops
 * what the filters do not let through, so it may come out short, or empty, and still say where the
 * next one begins.
 */

import { type MetadataType, metadataValue } from '../postgres/metadata-path.js';
import { type Statement, statement } from '../postgres/statement.js';
import { IN_PROJECT, OBJECT, OBJECT_TEXTS, type ObjectRow } from './object-reads.sql.js';
import { type CutRow, cutPage } from './page-cut.sql.js';

/**
 * How many rows one page looks at. Ten thousand in random places of a table of a million took 50
 * to 90 ms with cold buffers; a client that reads on needs a hundred such pages for the whole.
 */
export const SCAN_ROWS = 10_000;

/** A row of a page. */
export interface ListRow extends ObjectRow, CutRow {
  /** The value it is ordered by before its key; empty in the order of keys. */
  readonly position_value: string;
  /** Which row of the scan it is, from 1. */
  readonly scan_place: bigint;
  /** False for the last row of a scan that the filters do not let through: it says how far. */
  readonly matches: boolean;
}

/** What a list has found. By a path of the metadata it has one row, without an object, for none. */
export type ScannedRow = (ListRow | { readonly object_key: null }) & {
  /** Whether the path has an index that is ready on the node that was asked. */
  readonly is_indexed?: boolean;
};

/** What the filters let through, where no index knows: $5 backend, $6 class, $7 metadata. */
const MATCHES = `(($5 = '' or storage_backend = $5) and ($6 = '' or storage_class = $6)
        and ($7::jsonb is null or metadata @> $7))`;

/** The same with the prefix, $2 to $3, in another order than that of keys. */
const MATCHES_PREFIX = `(object_key >= $2 and object_key < $3 and ${MATCHES})`;

const LIVE = 'deleted_at is null';

/** What one way to list is made of. */
interface Way {
  readonly name: string;
  /** Which rows an index gives, from the position on. */
  readonly range: string;
  /** What the list is ordered by before the keys; undefined in the order of keys. */
  readonly value?: string;
  readonly direction?: 'desc';
  readonly matches: string;
  /** By a path of the metadata: whether that is indexed. */
  readonly isIndexed?: string;
}

/**
 * A page: $1 project, $2 to $3 the keys of the prefix, $4 how many rows at most, then the filters.
 * The inner limit is what keeps conditions out of the scan that would let the planner choose
 * another index; the number of a row is counted as it passes. The outer order is that of the scan
 * in the same words, which is what the planner needs to see that nothing has to be sorted.
 */
function page({ name, range, value, direction, matches, isIndexed }: Way): Statement<ScannedRow> {
  const ordered = (column: string) => `${column}${direction === undefined ? '' : ' desc'}`;
  const orderBy = (column: string) =>
    `${value === undefined ? '' : `${ordered(column)}, `}${ordered('object_key')}`;
  const columns = `${OBJECT},
    list_value::text as position_value, scan_place, ${matches} as matches`;
  const cut = cutPage(columns, 'scan_place', OBJECT_TEXTS);
  return statement<ScannedRow>({
    name: `list-${name}`,
    intent: 'read',
    ...(isIndexed === undefined ? {} : { plan: 'custom' }),
    text: `
    with ${isIndexed === undefined ? '' : pathOf(isIndexed)}page as materialized (
      select *
      from (
        select ${OBJECT}, ${value ?? `''`} as list_value,
          row_number() over (order by ${orderBy(value ?? '')}) as scan_place
        from storage_objects
        where project_id = $1 and ${range}${IN_PROJECT}
        order by ${orderBy(value ?? '')}
        limit ${SCAN_ROWS}
      ) as scanned
      where scan_place = ${SCAN_ROWS} or ${matches}
      order by ${orderBy('list_value')}
      limit $4
    )${isIndexed === undefined ? cut : besidePath(cut)}`,
  });
}

/** The common table `path`: whether the path of the metadata has an index. */
const pathOf = (isIndexed: string): string => `path as materialized (
      select ${isIndexed} as is_indexed
    ), `;

/**
 * Says of a page that is empty whether there is an index: to ask that by a statement of its own
 * could be to ask another node, which has it already.
 */
const besidePath = (cut: string): string => `
    select is_indexed, cut.*
    from path
    left join (${cut}
    ) as cut on true
    order by scan_place`;

/** Both directions of a list. */
interface Directions {
  readonly ascending: Statement<ScannedRow>;
  readonly descending: Statement<ScannedRow>;
}

/** By keys, behind $8. */
function byKey(name: string, filter: string): Directions {
  const prefix = `object_key >= $2 and object_key < $3 ${filter}`;
  const way = { matches: MATCHES };
  return {
    ascending: page({ ...way, name, range: `object_key > $8 and ${prefix}` }),
    descending: page({
      ...way,
      name: `${name}-descending`,
      range: `object_key < $8 and ${prefix}`,
      direction: 'desc',
    }),
  };
}

/**
 * By a column and then by keys, behind key $8 at value $9. One index serves both directions, so
 * what is equal is in descending order of keys in the descending one.
 */
function byColumn(value: string, type: string): Directions {
  const way = { value, matches: MATCHES_PREFIX };
  const name = `by-${value.replaceAll('_', '-')}`;
  const range = (comparison: string) =>
    `(${value}, object_key) ${comparison} ($9::${type}, $8) and ${LIVE}`;
  return {
    ascending: page({ ...way, name, range: range('>') }),
    descending: page({
      ...way,
      name: `${name}-descending`,
      range: range('<'),
      direction: 'desc',
    }),
  };
}

/** Whether the path, $8, has an index of a type that is ready on this very node. */
const isIndexed = (type: MetadataType): string => `exists (
            select from metadata_indexes
            join pg_class on relname = index_name and relnamespace = 'public'::regnamespace
            join pg_index on indexrelid = pg_class.oid and indisvalid
            where path = array_to_string($8::text[], '.') and type = '${type}')`;

/**
 * By a path of the metadata, $8, above key $9 at value $10 and below key $11 at value $12. Nothing
 * is read where the path has no index.
 */
function byPath(type: MetadataType, cast: string): Statement<ScannedRow> {
  const value = metadataValue[type]('$8::text[]');
  return page({
    name: `by-metadata-${type}`,
    value,
    matches: MATCHES_PREFIX,
    isIndexed: isIndexed(type),
    range: `${LIVE} and ${value} is not null
          and (${value}, object_key) > ($10::${cast}, $9)
          and (${value}, object_key) < ($12::${cast}, $11)
          and (select is_indexed from path)`,
  });
}

/** The pages of each order. */
export const pages = {
  objectKey: {
    live: byKey('objects', `and ${LIVE}`),
    /** One backend, $5, by the index that begins with it. */
    liveOfBackend: byKey('backend-objects', `and ${LIVE} and storage_backend = $5`),
    all: byKey('all-objects', ''),
  },
  lastModified: byColumn('last_modified', 'timestamptz'),
  size: byColumn('size', 'int8'),
  metadata: { text: byPath('text', 'text'), number: byPath('number', 'numeric') },
} as const;
