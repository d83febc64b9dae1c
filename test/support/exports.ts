/** The three streams of one moment, seen alike: what they stream, and rows of it by SQL. */
import { crc32 } from 'node:zlib';
import { create, toBinary } from '@bufbuild/protobuf';
import { expect } from 'vitest';
import {
  type ExportEventsResponse,
  ExportEventsResponseSchema,
} from '../../gen/stowage/v1/audit_read_pb.js';
import {
  type ExportExecutionsResponse,
  ExportExecutionsResponseSchema,
} from '../../gen/stowage/v1/hook_execution_pb.js';
import {
  type StreamVersionsResponse,
  StreamVersionsResponseSchema,
} from '../../gen/stowage/v1/version_read_pb.js';
import type { Clients } from './service.js';

/** A message of any of them. */
export type ExportMessage =
  | ExportEventsResponse
  | ExportExecutionsResponse
  | StreamVersionsResponse;

/** What every one of them takes. */
export interface ExportRequest {
  readonly project: string;
  readonly resumeToken?: string;
}

/** One of the streams. */
export interface ExportKind {
  readonly name: string;
  readonly table: 'storage_audit' | 'storage_hooks' | 'storage_versions';
  open(clients: Clients, request: ExportRequest): AsyncIterable<ExportMessage>;
  /** The same with other arguments. */
  openOther(clients: Clients, request: ExportRequest): AsyncIterable<ExportMessage>;
  /** Inserts rows: see `plantRows`. */
  readonly plant: string;
  /** Names of a message's items. */
  names(message: ExportMessage): string[];
  /** The items as they stand in a message. */
  bytes(message: ExportMessage): Uint8Array;
}

/** An hour apart, so many hours ago. */
const TIME = `date_trunc('day', now()) + (place - $3::int) * interval '1 hour'`;
/** So many times 32 bytes that nothing compresses. */
const FILLER = `(select jsonb_build_object('filler', string_agg(md5(place || ' ' || n), ''))
       from generate_series(1, $4::int) as n)`;
const PLACES = 'unnest($2::numeric[]) as place';

/** The streams. */
export const exportKinds: readonly ExportKind[] = [
  {
    name: 'ExportEvents',
    table: 'storage_audit',
    // Those of the test: what is done through the service is audited too.
    open: ({ audit }, request) => audit.exportEvents({ ...request, filter: { action: 'PLANTED' } }),
    openOther: ({ audit }, request) =>
      audit.exportEvents({ ...request, filter: { action: 'ANOTHER' } }),
    plant: `
      insert into storage_audit (project_id, timestamp, id, action, user_id, metadata)
      select $1, ${TIME}, gen_random_uuid(), 'PLANTED', 'user-' || place, ${FILLER}
      from ${PLACES}`,
    names: (message) => ('events' in message ? message.events.map(({ userId }) => userId) : []),
    bytes: (message) => {
      const events = 'events' in message ? message.events : [];
      return toBinary(ExportEventsResponseSchema, create(ExportEventsResponseSchema, { events }));
    },
  },
  {
    name: 'ExportExecutions',
    table: 'storage_hooks',
    open: ({ hooks }, request) => hooks.exportExecutions(request),
    openOther: ({ hooks }, request) =>
      hooks.exportExecutions({ ...request, filter: { hookName: 'another' } }),
    plant: `
      insert into storage_hooks (project_id, timestamp, id, hook_name, event_type, execution_time,
                                 success, object_key, payload)
      select $1, ${TIME}, gen_random_uuid(), 'planted', 'MADE', 0.25, place % 2 = 0,
        'user-' || place, ${FILLER}
      from ${PLACES}`,
    names: (message) =>
      'executions' in message ? message.executions.map(({ objectKey }) => objectKey) : [],
    bytes: (message) => {
      const executions = 'executions' in message ? message.executions : [];
      const items = create(ExportExecutionsResponseSchema, { executions });
      return toBinary(ExportExecutionsResponseSchema, items);
    },
  },
  {
    name: 'StreamVersions',
    table: 'storage_versions',
    open: ({ versions }, request) => versions.streamVersions(request),
    openOther: ({ versions }, request) =>
      versions.streamVersions({ ...request, prefix: 'another/' }),
    // A hundred versions a key, the newest first.
    plant: `
      insert into storage_versions (project_id, object_key, version_id, seq, size, last_modified,
                                    metadata)
      overriding system value
      select $1, 'k/' || lpad(floor(place / 100)::text, 4, '0'), 'user-' || place,
        1000000 - (place * 10)::bigint, $3, now(), ${FILLER}
      from ${PLACES}`,
    names: (message) =>
      'versions' in message ? message.versions.map(({ versionId }) => versionId) : [],
    bytes: (message) => {
      const versions = 'versions' in message ? message.versions : [];
      const items = create(StreamVersionsResponseSchema, { versions });
      return toBinary(StreamVersionsResponseSchema, items);
    },
  },
];

/** Where rows are planted. */
export interface Planting {
  readonly project: string;
  /** The stream's order is that of their places. */
  readonly places: readonly number[];
  /** How long ago the place 0 was, in hours: the others are an hour apart. */
  readonly hoursAgo: number;
  /** What a row weighs more than it must, in 32 bytes. */
  readonly filler?: number;
}

/** Inserts rows, of whose months it makes the partitions that are not there. */
export async function plantRows(
  { query }: { query(text: string, values: readonly unknown[]): Promise<unknown> },
  { plant, table }: ExportKind,
  { project, places, hoursAgo, filler = 1 }: Planting,
): Promise<void> {
  if (table !== 'storage_versions') {
    // At most four new ones a call.
    for (let hours = hoursAgo; hours > 0; hours -= 2_000) {
      await query(
        `select stowage_ensure_months($1, array(
           select now() - make_interval(hours => hour)
           from generate_series($2::int, greatest($2::int - 2000, 0), -500) as hour))`,
        [table, hours],
      );
    }
  }
  await query(plant, [project, places, hoursAgo, filler]);
}

/** How a row is named. */
export const nameAt = (place: number): string => `user-${place}`;

/** What came of a stream, its resumed parts together. */
export class Tally {
  readonly names: string[] = [];
  readonly nodes = new Set<string>();
  crc32 = 0;
  resumeToken = '';
  summary: ExportMessage['summary'];

  /** Takes a message, and holds its own sum against its items. */
  add(kind: ExportKind, message: ExportMessage): void {
    const names = kind.names(message);
    const bytes = kind.bytes(message);
    if (names.length > 0) expect(message.crc32).toBe(crc32(bytes));
    this.crc32 = crc32(bytes, this.crc32);
    this.names.push(...names);
    this.resumeToken = message.resumeToken;
    this.nodes.add(message.checkpoint?.node ?? '');
    this.summary = message.summary;
  }

  /** Holds the summary against all that came. */
  expectWhole(names: readonly string[]): void {
    expect(this.names).toEqual(names);
    expect(this.summary).toMatchObject({ items: BigInt(names.length), crc32: this.crc32 });
  }
}
