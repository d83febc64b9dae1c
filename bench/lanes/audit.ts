/**
 * ListEvents through the gRPC door on a trail of a million events over two years, by each of its
 * filters: the first page and the thousandth, as they are when most calls are done (p95). Limit:
 * the first page, for the thousandth. Work: calls, one at a time.
 */

import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import {
  ListEventsRequestSchema,
  ListEventsResponseSchema,
} from '../../gen/stowage/v1/audit_read_pb.js';
import type { Lane, RowSpec, Subject } from '../frame/lane.js';
import { quantile } from '../frame/statistics.js';
import { fillAudit, HOT } from '../rig/audit-events.js';
import { GrpcCaller } from '../rig/grpc-caller.js';
import { PROJECT } from '../rig/objects.js';
import type { Rig } from '../rig/rig.js';

const PATH = '/stowage.v1.AuditService/ListEvents';
const PAGE = 100;
/** The page that is called deep. */
const DEEP_PAGE = 1000;
/** Calls of a repetition: enough for a p95. */
const CALLS = 100;

type Request = MessageInitShape<typeof ListEventsRequestSchema>;

/** What each row asks for. */
const filters: Readonly<Record<string, Request>> = {
  all: {},
  user: { filter: { userId: HOT.userId } },
  action: { filter: { action: HOT.action } },
  key: { filter: { objectKey: HOT.objectKey } },
  correlation: { filter: { correlationId: HOT.correlationId } },
  prefix: { filter: { keyPrefix: HOT.keyPrefix } },
};

function rowsOf(name: string): RowSpec[] {
  const shared = { measure: 'p95Ms', unit: 'ms', better: 'lower' } as const;
  return [
    { ...shared, name: `${name}-first`, subject: `${name}-first`, must: 20 },
    { ...shared, name: `${name}-deep`, subject: `${name}-deep`, must: 20 },
  ];
}

export const audit: Lane = {
  name: 'audit',
  summary: 'ListEvents by each filter on a trail of a million events; the p95 of single calls',
  rowsDefault: 1_000_000,
  rows: Object.keys(filters).flatMap(rowsOf),
  setup,
};

async function setup(rig: Rig): Promise<Readonly<Record<string, Subject>>> {
  const database = await rig.startDatabase();
  const admin = await rig.connect(database.adminUrl);
  await fillAudit(admin, rig.rows, (step) => rig.progress(step));
  await database.whenReplicated();
  const server = await rig.startServer(database);
  const caller = new GrpcCaller(server.grpc);
  rig.defer(() => caller.close());
  const subjects: Record<string, Subject> = {};
  for (const [name, request] of Object.entries(filters)) {
    rig.progress(`walking to page ${DEEP_PAGE} of ${name}`);
    const pageToken = await tokenOfPage(caller, request, DEEP_PAGE);
    subjects[`${name}-first`] = pageSubject(caller, request);
    subjects[`${name}-deep`] = pageSubject(caller, { ...request, pageToken });
  }
  return subjects;
}

/** One page, again and again. */
function pageSubject(caller: GrpcCaller, request: Request): Subject {
  const message = encode(request);
  return async () => {
    const times: number[] = [];
    while (times.length < CALLS) {
      const begun = performance.now();
      const bytes = await caller.unary(PATH, message);
      times.push(performance.now() - begun);
      if (times.length === 1) expectFull(bytes);
    }
    return { p95Ms: quantile(times, 0.95) };
  };
}

function expectFull(bytes: Buffer): void {
  const { events } = fromBinary(ListEventsResponseSchema, bytes);
  if (events.length !== PAGE) throw new Error(`${events.length} events came, not ${PAGE}`);
}

/** The token that leads to a page, counted from 1. */
async function tokenOfPage(caller: GrpcCaller, request: Request, page: number): Promise<string> {
  let pageToken = '';
  for (let at = 1; at < page; at += 1) {
    const bytes = await caller.unary(PATH, encode({ ...request, pageToken }));
    pageToken = fromBinary(ListEventsResponseSchema, bytes).nextPageToken;
    if (pageToken === '') throw new Error(`the list ends with page ${at}`);
  }
  return pageToken;
}

function encode(request: Request): Buffer {
  const message = create(ListEventsRequestSchema, {
    ...{ project: PROJECT, pageSize: PAGE },
    ...request,
  });
  return Buffer.from(toBinary(ListEventsRequestSchema, message));
}
