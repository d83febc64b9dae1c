/** What a node tells of itself to whoever has logged in. */

import type { TimestampValue } from '../../lib/timestamp.js';
import { isServerError } from '../driver.js';
import { parseLsn } from '../lsn.js';
import { listMigrations } from '../schema-version.js';
import {
  readClock,
  readDatabase,
  readExtension,
  readIdleSlots,
  readReplication,
  readRole,
  type readServer,
  readSettings,
} from './facts.sql.js';
import type { Session } from './session.js';

type RowOf<S extends { readonly row?: unknown }> = NonNullable<S['row']>;

/** The applied migrations, or why they cannot be told. */
export type AppliedMigrations = readonly string[] | 'missing' | 'denied';

/** A setting with where its value comes from, in the words of pg_settings. */
export interface SettingFact {
  readonly setting: string;
  readonly source: string;
}

/** Everything that the checks of a node judge. */
export interface NodeFacts {
  readonly role: 'primary' | 'standby';
  readonly version: string;
  readonly versionNumber: number;
  readonly systemIdentifier: bigint;
  /** Undefined on a standby. */
  readonly timeline: number | undefined;
  /** Flushed on a primary, replayed on a standby; undefined before the first replay. */
  readonly lsn: bigint | undefined;
  readonly connections: number;
  readonly database: RowOf<typeof readDatabase>;
  readonly login: RowOf<typeof readRole>;
  /** Those that the role may see. */
  readonly settings: ReadonlyMap<string, SettingFact>;
  /** Of pg_trgm. */
  readonly extension: 'installed' | 'available' | 'absent';
  readonly replication: RowOf<typeof readReplication>;
  readonly idleSlots: readonly RowOf<typeof readIdleSlots>[];
  readonly applied: AppliedMigrations;
  readonly clock: ClockFact;
}

/** How the node's clock differs from this machine's. */
export interface ClockFact {
  /** Above zero: the node's is ahead. Off by at most half of the round trip. */
  readonly aheadMs: number;
  readonly roundTripMs: number;
}

/**
 * Asks all of it but what the server is, one question after the other.
 * @throws what the session throws
 */
export async function readFacts(
  session: Session,
  server: RowOf<typeof readServer>,
): Promise<NodeFacts> {
  const settings = await session.ask(readSettings);
  const [extension] = await session.ask(readExtension);
  return {
    role: server.in_recovery ? 'standby' : 'primary',
    version: server.version,
    versionNumber: server.version_number,
    // The identifier is unsigned; SQL has no type for that and shows it as a signed one.
    systemIdentifier: BigInt.asUintN(64, server.system_identifier),
    timeline:
      server.wal_file === null ? undefined : Number.parseInt(server.wal_file.slice(0, 8), 16),
    lsn: server.lsn === null ? undefined : parseLsn(server.lsn),
    connections: server.connections,
    database: await session.askOne(readDatabase),
    login: await session.askOne(readRole),
    settings: new Map(settings.map(({ name, ...fact }) => [name, fact])),
    extension:
      extension === undefined
        ? 'absent'
        : extension.installed_version === null
          ? 'available'
          : 'installed',
    replication: await session.askOne(readReplication),
    idleSlots: await session.ask(readIdleSlots),
    applied: await readApplied(session),
    clock: await compareClocks(session),
  };
}

async function readApplied(session: Session): Promise<AppliedMigrations> {
  try {
    return (await session.ask(listMigrations)).map(({ name }) => name);
  } catch (error) {
    if (isServerError(error) && error.code === '42P01') return 'missing';
    if (isServerError(error) && error.code === '42501') return 'denied';
    throw error;
  }
}

/** The second question is the measure: at the first the statement is prepared. */
async function compareClocks(session: Session): Promise<ClockFact> {
  await session.askOne(readClock);
  const askedAt = performance.now();
  const { clock } = await session.askOne(readClock);
  const roundTripMs = performance.now() - askedAt;
  const middleMs = performance.timeOrigin + askedAt + roundTripMs / 2;
  return { aheadMs: timestampMs(clock) - middleMs, roundTripMs };
}

/** Milliseconds since 1970. */
export function timestampMs({ seconds, nanos }: TimestampValue): number {
  return Number(seconds) * 1000 + nanos / 1_000_000;
}
