/** Reads what the database has of a round, from the primary, as the superuser. */

import { type Client, types } from 'pg';
import { parseLsn } from '../../src/postgres/lsn.js';
import type { FeedRow, FinalState, Seen, Timeline } from './history.js';

/** `bigint` as a number: no revision of a test is beyond 2^53. */
const INT8 = 20;

/** Reads the tables of one project, and the history of the primary. */
export async function readFinalState(client: Client, project: string): Promise<FinalState> {
  types.setTypeParser(INT8, Number);
  const rows = await client.query<Seen>(
    `select object_key as key, revision, owner as tag, deleted_at is null as "isLive"
     from storage_objects where project_id = $1
     union all
     select '', revision, name, deleted_at is null from projects where project_id = $1`,
    [project],
  );
  const feed = await client.query<FeedRow>(
    `select object_key as key, revision, request_id as "requestId", owner as tag, kind
     from storage_changes where project_id = $1 order by seq`,
    [project],
  );
  const requests = await client.query<{ request_id: string }>(
    'select request_id from request_log where project_id = $1',
    [project],
  );
  const [audit] = (
    await client.query<{ audited: number }>(
      'select count(*) as audited from storage_audit where project_id = $1',
      [project],
    )
  ).rows;
  return {
    timelines: await readTimelines(client),
    recorded: await readRecorded(client),
    rows: rows.rows,
    feed: feed.rows.map((row) => ({ ...row, requestId: row.requestId ?? undefined })),
    requestIds: requests.rows.map((row) => row.request_id),
    audited: audit?.audited ?? 0,
  };
}

async function readRecorded(client: Client): Promise<Timeline[]> {
  const { rows } = await client.query<{ timeline: number; lsn: string }>(
    'select timeline, switch_lsn::text as lsn from timelines order by timeline',
  );
  return rows.map(({ timeline, lsn }) => ({ timeline, switchLsn: parseLsn(lsn) }));
}

/** The history of the primary's timeline, from PostgreSQL's own file. */
async function readTimelines(client: Client): Promise<Timeline[]> {
  const [current] = (
    await client.query<{ name: string }>('select pg_walfile_name(pg_current_wal_lsn()) as name')
  ).rows;
  const hex = current?.name.slice(0, 8) ?? '00000001';
  const newest = Number.parseInt(hex, 16);
  const [file] = (
    await client.query<{ text: string | null }>(
      'select pg_read_file($1, 0, 1048576, true) as text',
      [`pg_wal/${hex}.history`],
    )
  ).rows;
  const ended = (file?.text ?? '')
    .split('\n')
    .map((line) => line.split('\t'))
    .flatMap(([timeline = '', lsn = '']) =>
      /^\d+$/.test(timeline.trim()) ? [{ timeline: Number(timeline), lsn: parseLsn(lsn) }] : [],
    );
  return [...ended.map(({ timeline }) => timeline), newest].map((timeline, at) => ({
    timeline,
    switchLsn: ended[at - 1]?.lsn ?? 0n,
  }));
}
