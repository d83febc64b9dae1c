/**
 * A write, then reads that must see it: what its token costs a read where every standby has it
 * already, and the probes do not know of it yet.
 */

import type { MessageInitShape } from '@bufbuild/protobuf';
import type pg from 'pg';
import type { FreshnessSchema, Stowage } from '../../src/client/index.js';
import { until } from '../../src/lib/wait.js';
import type { Measures } from '../frame/lane.js';
import { median } from '../frame/statistics.js';
import type { CountingProxy } from './counting-proxy.js';
import type { BenchDatabase } from './database.js';
import { PROJECT } from './objects.js';
import type { Rig } from './rig.js';

const REPLAY_TIMEOUT_MS = 10_000;
const TEN_SECONDS_OLD = { demand: { case: 'maxStaleness', value: { seconds: 10n } } } as const;

/** Where it happens. */
export interface OwnWrites {
  readonly stowage: Stowage;
  /** One before each node. */
  readonly proxies: readonly CountingProxy[];
  /** Resolves once every standby has replayed what the primary has flushed by now. */
  whenReplayed(): Promise<void>;
}

/** What one read met. */
interface Read {
  readonly ms: number;
  readonly roundTrips: number;
  readonly isOnStandby: boolean;
}

/**
 * Writes so many times, waits each time until every standby has the write, and reads it twice: with
 * the write's token, and with nothing but a bound on its age. Which comes first alternates, for the
 * second one finds what the first has warmed.
 */
export async function readOwnWrites(at: OwnWrites, count: number): Promise<Measures> {
  const withToken: Read[] = [];
  const without: Read[] = [];
  for (let n = 0; n < count; n += 1) {
    const token = await write(at, n);
    await at.whenReplayed();
    const turns = [
      async () => withToken.push(await read(at, n, { demand: { case: 'atLeast', value: token } })),
      async () => without.push(await read(at, n, TEN_SECONDS_OLD)),
    ];
    for (const turn of n % 2 === 0 ? turns : turns.toReversed()) await turn();
  }
  return {
    tokenMs: median(withToken.map(({ ms }) => ms)),
    plainMs: median(without.map(({ ms }) => ms)),
    tokenTrips: tripsOf(withToken),
    plainTrips: tripsOf(without),
    onStandby: withToken.filter(({ isOnStandby }) => isOnStandby).length / withToken.length,
  };
}

async function write({ stowage }: OwnWrites, n: number): Promise<string> {
  const object = { objectKey: keyOf(n), size: BigInt(Date.now()), storageBackend: 's3', etag: 'b' };
  const { token } = await stowage.storage.recordObject({ project: PROJECT, object });
  return token;
}

async function read(
  { stowage, proxies }: OwnWrites,
  n: number,
  freshness: MessageInitShape<typeof FreshnessSchema>,
): Promise<Read> {
  const roundTrips = () => proxies.reduce((sum, proxy) => sum + proxy.roundTrips, 0);
  let servedBy = '';
  const before = roundTrips();
  const begun = performance.now();
  await stowage.storage.getObject(
    { project: PROJECT, objectKey: keyOf(n), freshness },
    { onHeader: (headers) => (servedBy = headers.get('stowage-served-by') ?? '') },
  );
  const ms = performance.now() - begun;
  return {
    ms,
    roundTrips: roundTrips() - before,
    isOnStandby: servedBy.includes('role=standby'),
  };
}

const keyOf = (n: number): string => `own/${n}`;

/**
 * The mean and not the median: a wait now and then counts too. A probe amid a read counts as well,
 * for who asks a node is not told apart; fewer than one read of a hundred has one.
 */
function tripsOf(reads: readonly Read[]): number {
  return reads.reduce((sum, { roundTrips }) => sum + roundTrips, 0) / reads.length;
}

/** Sessions beside the service, for its own connections are what is counted. */
export async function replayWatch(rig: Rig, { cluster }: BenchDatabase) {
  const primary = await rig.connect(cluster.superuserUrl());
  const standbys = await Promise.all(cluster.standbys.map((node) => rig.connect(node.url())));
  return async () => {
    const [flushed] = await rowsOf(primary, 'select pg_current_wal_flush_lsn()::text as answer');
    const isThere = async () => {
      const answers = await Promise.all(
        standbys.map((standby) =>
          rowsOf(
            standby,
            `select (pg_last_wal_replay_lsn() >= '${flushed}'::pg_lsn)::text as answer`,
          ),
        ),
      );
      return answers.every(([answer]) => answer === 'true');
    };
    const what = 'the standbys have the write';
    await until(isThere, { timeoutMs: REPLAY_TIMEOUT_MS, pollMs: 1, what });
  };
}

async function rowsOf(client: pg.Client, text: string): Promise<string[]> {
  const { rows } = await client.query<{ answer: string }>(text);
  return rows.map(({ answer }) => answer);
}
