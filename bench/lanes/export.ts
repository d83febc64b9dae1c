/**
 * StreamObjects to a client that does not decode. Limit: COPY of the same query on a plain
 * connection. Naive peer: pg-cursor, protobuf-es and grpc-js. Work: rows of the export.
 */

import { once } from 'node:events';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import pg from 'pg';
import {
  StreamObjectsRequestSchema,
  StreamObjectsResponseSchema,
} from '../../gen/stowage/v1/storage_list_pb.js';
import { pause } from '../../src/lib/wait.js';
import { wholeSlice } from '../../src/store/stream-slices.js';
import type { Lane, Measures, Subject } from '../frame/lane.js';
import { median } from '../frame/statistics.js';
import type { MeasuredChild } from '../rig/child.js';
import { copyOut } from '../rig/copy.js';
import { firstMessageMs, GrpcCaller } from '../rig/grpc-caller.js';
import { fillObjects, PROJECT } from '../rig/objects.js';
import type { Rig } from '../rig/rig.js';

const PATH = '/stowage.v1.StorageService/StreamObjects';
const FIRST_MESSAGES = 21;
/** What the slow client does after each message. */
const SLOW_PAUSE_MS = 20;
const MIB = 2 ** 20;

const everything = { prefix: '', storageBackend: '', storageClass: '', showDeleted: false };
const request = Buffer.from(
  toBinary(StreamObjectsRequestSchema, create(StreamObjectsRequestSchema, { project: PROJECT })),
);

export const exportLane: Lane = {
  name: 'export',
  summary: 'StreamObjects to a client that does not decode; cpu is that of the server',
  rowsDefault: 200_000,
  rows: [
    {
      ...{ name: 'wall', measure: 'wallMs', unit: 'ms', against: 'copy', better: 'lower' },
      ...{ must: 1.25, aim: 1.0 },
    },
    {
      ...{ name: 'cpu', measure: 'cpuMs', unit: 'ms', against: 'copy', better: 'lower' },
      ...{ againstMeasure: 'wallMs', must: 1.0, aim: 0.75 },
    },
    {
      ...{ name: 'naive', subject: 'naive', measure: 'wallMs', unit: 'ms', against: 'ours' },
      ...{ better: 'higher', must: 7, aim: 10 },
    },
    {
      ...{ name: 'first-message', subject: 'first', measure: 'firstMs', unit: 'ms' },
      ...{ better: 'lower', must: 50, aim: 20 },
    },
    {
      ...{ name: 'rss-growth', subject: 'slow', measure: 'rssGrowthMib', unit: 'MiB' },
      ...{ better: 'lower', must: 64, aim: 32, judgedBy: 'worst' },
    },
  ],
  setup,
};

async function setup(rig: Rig): Promise<Readonly<Record<string, Subject>>> {
  const database = await rig.startDatabase();
  const admin = await rig.connect(database.adminUrl);
  rig.progress(`recording ${rig.rows} objects`);
  await fillObjects(admin, rig.rows);
  await database.whenReplicated();
  const { statement, params } = wholeSlice(PROJECT, everything, '', rig.rows + 1);
  const { text } = statement;
  const server = await rig.startServer(database);
  const caller = callerOf(rig, server.grpc);
  const naive = await rig.startPeer(new URL('../peers/naive-export-server.ts', import.meta.url), {
    DATABASE_URL: database.primaryUrl,
  });
  const naiveCaller = callerOf(rig, naive.grpc);
  const naiveRequest = Buffer.from(JSON.stringify({ text, params }));
  const plain = await rig.connect(database.primaryUrl);
  return {
    copy: copySubject(plain, inline(text, params), rig.rows),
    ours: async () => {
      const { measures, last } = await timedStream(server.child, caller, PATH, request);
      const { summary } = fromBinary(StreamObjectsResponseSchema, last);
      if (summary?.items !== BigInt(rig.rows)) throw new Error(`${summary?.items} rows came`);
      return measures;
    },
    naive: async () => {
      const path = '/bench.Naive/Stream';
      return (await timedStream(naive.child, naiveCaller, path, naiveRequest)).measures;
    },
    first: async () => {
      const times: number[] = [];
      while (times.length < FIRST_MESSAGES) times.push(await firstMessageMs(caller, PATH, request));
      return { firstMs: median(times) };
    },
    slow: await slowSubject(server.child, caller),
  };
}

function callerOf(rig: Rig, address: string): GrpcCaller {
  const caller = new GrpcCaller(address);
  rig.defer(() => caller.close());
  return caller;
}

/** COPY takes no parameters. */
function inline(text: string, params: readonly unknown[]): string {
  return text.replace(/\$(\d+)/g, (_, number) => pg.escapeLiteral(String(params[number - 1])));
}

function copySubject(client: pg.Client, query: string, rows: number): Subject {
  return async () => {
    const begun = performance.now();
    const copied = await copyOut(client, query);
    const wallMs = performance.now() - begun;
    if (copied.rows !== rows) throw new Error(`COPY gave ${copied.rows} rows`);
    return { wallMs, mib: copied.bytes / MIB };
  };
}

/** Takes a stream as fast as it comes; its last message is given undecoded. */
async function timedStream(
  child: MeasuredChild,
  caller: GrpcCaller,
  path: string,
  message: Buffer,
): Promise<{ readonly measures: Measures; readonly last: Buffer }> {
  const before = await child.usage();
  const begun = performance.now();
  let bytes = 0;
  let last: Buffer = Buffer.alloc(0);
  const stream = caller.serverStream(path, message);
  stream.on('data', (response: Buffer) => {
    bytes += response.length;
    last = response;
  });
  await once(stream, 'end');
  const wallMs = performance.now() - begun;
  const after = await child.usage();
  const cpuMs = (after.cpuUs - before.cpuUs) / 1000;
  return { measures: { wallMs, cpuMs, mib: bytes / MIB }, last };
}

/** Growth is counted from the server's beginning to the highest since. */
async function slowSubject(child: MeasuredChild, caller: GrpcCaller): Promise<Subject> {
  const { rssBytes } = await child.usage();
  return async () => {
    const begun = performance.now();
    for await (const _ of caller.serverStream(PATH, request)) await pause(SLOW_PAUSE_MS);
    const wallMs = performance.now() - begun;
    const { rssPeakBytes } = await child.usage();
    return { rssGrowthMib: (rssPeakBytes - rssBytes) / MIB, wallMs };
  };
}
