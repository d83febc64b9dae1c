/**
 * Statements that give a page of what happened to a key: its changes, versions and audit events in
 * one order. One statement, so that all three are of one node and one moment.
 */

import type { TimestampValue } from '../lib/timestamp.js';
import { type Statement, statement } from '../postgres/statement.js';
import { EVENT, type EventRow } from './audit-columns.js';
import { EVENT_TEXTS, NO_ID } from './audit-pages.sql.js';
import { IN_PROJECT } from './object-reads.sql.js';
import { type CutRow, cutPage } from './page-cut.sql.js';
import { NOTES, VERSION, type VersionRow } from './version-columns.js';

/** A row of `storage_changes`. */
export interface ChangeRow {
  readonly seq: bigint;
  readonly kind: string;
  readonly object_key: string;
  readonly revision: bigint;
  readonly version_id: string;
  readonly owner: string;
  readonly actor: string;
  readonly request_id: string | null;
  readonly changed_fields: readonly string[];
  readonly recorded_at: TimestampValue;
}

/** An entry of a trail, by where it comes from; columns of the other sources are null. */
export type TrailRow = CutRow &
  (
    | ({ readonly source: 'change' } & ChangeRow)
    | ({ readonly source: 'version'; readonly seq: bigint } & VersionRow)
    | ({ readonly source: 'event' } & EventRow)
  );

/** The sources, in the order in which what is of one time stands. */
const SOURCES = ['change', 'version', 'event'] as const;
type Source = (typeof SOURCES)[number];

/** The columns of all, each with its type and the sources that have it. */
const COLUMNS: readonly (readonly [name: string, type: string, ...of: Source[]])[] = [
  ['seq', 'int8', 'change', 'version'],
  ['kind', 'text', 'change'],
  ['object_key', 'text', 'change', 'version', 'event'],
  ['revision', 'int8', 'change', 'version'],
  ['version_id', 'text', 'change', 'version', 'event'],
  ['owner', 'text', 'change'],
  ['actor', 'text', 'change'],
  ['request_id', 'uuid', 'change'],
  ['changed_fields', 'text[]', 'change'],
  ['recorded_at', 'timestamptz', 'change'],
  ['size', 'int8', 'version'],
  ['etag', 'text', 'version'],
  ['content_type', 'text', 'version'],
  ['last_modified', 'timestamptz', 'version'],
  ['is_latest', 'bool', 'version'],
  ['created_by', 'text', 'version'],
  ['comment', 'text', 'version'],
  ['tags', 'jsonb', 'version'],
  ['metadata', 'jsonb', 'version', 'event'],
  ['delete_marker', 'bool', 'version'],
  ['restored_from', 'text', 'version'],
  ['created_at', 'timestamptz', 'version'],
  ['id', 'uuid', 'event'],
  ['timestamp', 'timestamptz', 'event'],
  ['user_id', 'text', 'event'],
  ['username', 'text', 'event'],
  ['action', 'text', 'event'],
  ['ip_address', 'text', 'event'],
  ['user_agent', 'text', 'event'],
  ['success', 'bool', 'event'],
  ['error_message', 'text', 'event'],
  ['correlation_id', 'text', 'event'],
];

const NAMES = COLUMNS.map(([name]) => name).join(', ');

/** Texts of an entry that a caller may fill, beside its metadata. */
const TEXTS = [
  ...EVENT_TEXTS,
  ...['owner', 'actor', 'etag', 'content_type', 'created_by', 'comment', 'restored_from'],
  'tags::text',
];

/** The entries of one source, which has read and numbered them, with all columns. */
function entriesOf(source: Source): string {
  const columns = COLUMNS.map(([name, type, ...of]) =>
    of.includes(source) ? name : `null::${type} as ${name}`,
  );
  return `select '${source}' as source, ${SOURCES.indexOf(source)} as rank, entry_time,
        source_place, ${columns.join(', ')}
      from ${source}s`;
}

/** What a direction of time makes of comparisons and orders. */
interface Direction {
  readonly suffix: string;
  /** How what comes later compares with a position. */
  readonly behind: '>' | '<';
  /** Of `order by`: empty or ` desc`. */
  readonly desc: '' | ' desc';
  /** The aggregate that keeps the times of versions from going back. */
  readonly steady: 'max' | 'min';
  /** The end of times that lies ahead. */
  readonly end: '-infinity' | 'infinity';
}

/**
 * $1 project, $2 key, $3 how many entries at most, behind the change of time $4 and seq $5, the
 * version of seq $6, and the event of time $7 and id $8. Each source is read in its index's order
 * from a position of its own, so what one page shows no other does, whatever the times are. The
 * plan is generic as that of a page of events: the key is part of the order of those.
 *
 * Versions are read in the order of seq, which is how they came about. Their times are those of
 * transactions' beginnings, a little out of this order where one began before another and got the
 * object's row after it: such a version stands where the one before it does.
 */
function trail({ suffix, behind, desc, steady, end }: Direction): Statement<TrailRow> {
  const byChange = `recorded_at${desc}, seq${desc}`;
  const byVersion = `v.seq${desc}`;
  const byEvent = `object_key${desc}, timestamp${desc}, id${desc}`;
  const byTime = `entry_time${desc}, rank${desc}, source_place`;
  const ahead = behind === '>' ? '<' : '>';
  return statement({
    name: `object-trail${suffix}`,
    intent: 'read',
    plan: 'generic',
    text: `
    with changes as materialized (
      select seq, kind, object_key, revision, version_id, owner, actor, request_id, changed_fields,
        recorded_at, recorded_at as entry_time, row_number() over (order by ${byChange})
          as source_place
      from storage_changes
      where project_id = $1 and object_key = $2 and (recorded_at, seq) ${behind} ($4, $5)
        and recorded_at ${behind}= $4${IN_PROJECT}
      order by ${byChange}
      limit $3
    ), versions as materialized (
      select v.seq, ${VERSION},
        ${steady}(v.created_at) over (order by ${byVersion}) as entry_time,
        row_number() over (order by ${byVersion}) as source_place
      from storage_versions v
      left join (
        select version_id from storage_objects where project_id = $1 and object_key = $2
      ) as o on true
      ${NOTES}
      where v.project_id = $1 and v.object_key = $2 and v.seq ${behind} $6${IN_PROJECT}
      order by ${byVersion}
      limit $3
    ), events as materialized (
      select ${EVENT}, timestamp as entry_time,
        row_number() over (order by ${byEvent}) as source_place
      from storage_audit
      where project_id = $1 and (object_key, timestamp, id) ${behind} ($2, $7, $8)
        and (object_key, timestamp, id) ${ahead} ($2, '${end}', ${NO_ID})
        and timestamp ${behind}= $7${IN_PROJECT}
      order by ${byEvent}
      limit $3
    ), page as materialized (
      select *, row_number() over (order by ${byTime}) as entry_place
      from (
        ${SOURCES.map(entriesOf).join(`
        union all
        `)}
      ) as entries
      order by ${byTime}
      limit $3
    )${cutPage(`source, ${NAMES}`, 'entry_place', TEXTS)}`,
  });
}

/** The pages of a trail. */
export const trailPages = {
  ascending: trail({ suffix: '', behind: '>', desc: '', steady: 'max', end: 'infinity' }),
  descending: trail({
    suffix: '-descending',
    behind: '<',
    desc: ' desc',
    steady: 'min',
    end: '-infinity',
  }),
} as const;
