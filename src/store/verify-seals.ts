/**
 * Sealed months read again and compared with their last seals. What retention has removed is told
 * as such: a whole month, or its first days.
 */

import type { MessageInitShape } from '@bufbuild/protobuf';
import {
  type SealDifferenceSchema,
  SealVerdict,
  type VerifySealsResponseSchema,
} from '../../gen/stowage/v1/audit_retention_pb.js';
import { withHeartbeats } from '../lib/heartbeats.js';
import { fromMillis, type TimestampValue } from '../lib/timestamp.js';
import { laterTokenText } from '../lib/token-layout.js';
import type { Call } from '../postgres/call.js';
import { type DayDigest, digestMonth, digestOfDays, type MonthDigest } from './month-digest.js';
import type { SealPartRow, SealRow } from './seals.sql.js';
import * as statements from './seals.sql.js';
import type { Store } from './store.js';

const DIFFERENCES_MAX = 1_000;
const PARTS_MAX = 5_000;
/** A month may be sealed again, cut or dropped while it is read. */
const READINGS_MAX = 3;

/** Months that end after the one and begin before the other; undefined: no bound. */
export interface SealRange {
  readonly startTime: TimestampValue | undefined;
  readonly endTime: TimestampValue | undefined;
}

type Response = MessageInitShape<typeof VerifySealsResponseSchema>;
type Difference = MessageInitShape<typeof SealDifferenceSchema>;

/** A call whose reads see what the ones before saw. */
interface Reading {
  readonly store: Store;
  /** As fresh as what was read so far. */
  call(): Call;
}

/**
 * A message a month, in the order of time, and empty ones while it reads.
 * @throws StowageError those of the call's freshness and of `router.stream`.
 */
export function verifySeals(
  store: Store,
  call: Call,
  range: SealRange,
): AsyncGenerator<Response, void, undefined> {
  return withHeartbeats(verified(readingOf(store, call), range), store.heartbeatMs, () => ({}));
}

async function* verified(
  reading: Reading,
  { startTime, endTime }: SealRange,
): AsyncGenerator<Response, void, undefined> {
  const { router } = reading.store;
  const params = [startTime ?? null, endTime ?? null];
  for (const seal of await router.run(statements.latestSeals, params, reading.call())) {
    yield await verifyMonth(reading, seal);
  }
}

async function verifyMonth(reading: Reading, first: SealRow): Promise<Response> {
  let seal = first;
  for (let readings = 1; ; readings += 1) {
    if (seal.is_dropped) return answer(seal, SealVerdict.DROPPED, 0n);
    const found = await digestMonth(reading.store.router, reading.call(), seal);
    const parts = await readParts(reading, seal);
    const differences = compare(parts, found, firstDay(seal));
    const isWhole = digestOfDays(parts).equals(seal.sha256);
    if (differences.length === 0 && isWhole) {
      const verdict = seal.deleted_before === null ? SealVerdict.INTACT : SealVerdict.CUT;
      return answer(seal, verdict, found.rows);
    }
    const now = await readAgain(reading, seal);
    if (readings === READINGS_MAX || isSame(seal, now)) {
      return answer(seal, SealVerdict.DIFFERS, found.rows, differences);
    }
    seal = now;
  }
}

function answer(
  seal: SealRow,
  verdict: SealVerdict,
  foundRows: bigint,
  differences: Difference[] = [],
): Response {
  const { partition, range_start: rangeStart, seal_number: sealNumber, rows: sealedRows } = seal;
  return { partition, rangeStart, sealNumber, verdict, sealedRows, foundRows, differences };
}

async function readAgain({ store, call }: Reading, seal: SealRow): Promise<SealRow> {
  const params = [seal.range_start, seal.range_end];
  const [now = seal] = await store.router.run(statements.latestSeals, params, call());
  return now;
}

function isSame(one: SealRow, other: SealRow): boolean {
  return (
    one.seal_number === other.seal_number &&
    one.is_dropped === other.is_dropped &&
    one.deleted_before?.seconds === other.deleted_before?.seconds
  );
}

async function readParts({ store, call }: Reading, seal: SealRow): Promise<SealPartRow[]> {
  const parts: SealPartRow[] = [];
  for (;;) {
    const { project_id, day } = parts.at(-1) ?? { project_id: '', day: '-infinity' };
    const params = [seal.range_start, seal.seal_number, project_id, day, PARTS_MAX];
    const page = await store.router.run(statements.sealParts, params, call());
    parts.push(...page);
    if (page.length < PARTS_MAX) return parts;
  }
}

/** The first day that retention has left whole: it deletes whole days. */
function firstDay({ deleted_before }: SealRow): string {
  if (deleted_before === null) return '';
  return new Date(Number(deleted_before.seconds) * 1000).toISOString().slice(0, 10);
}

/** What differs on the days from one on, by project and day; at most 1000. */
function compare(parts: readonly SealPartRow[], { days }: MonthDigest, from: string): Difference[] {
  const added = new Map(days.map((each) => [keyOf(each.project, each.day), each]));
  const differences: { project: string; day: string; sealed: bigint; found: bigint }[] = [];
  for (const { project_id: project, day, rows, sha256 } of parts) {
    const found: DayDigest | undefined = added.get(keyOf(project, day));
    added.delete(keyOf(project, day));
    if (day < from || (found?.sha256.equals(sha256) && found.rows === rows)) continue;
    differences.push({ project, day, sealed: rows, found: found?.rows ?? 0n });
  }
  for (const { project, day, rows } of added.values()) {
    if (day >= from) differences.push({ project, day, sealed: 0n, found: rows });
  }
  return differences
    .sort((a, b) => bytewise(a.project, b.project) || bytewise(a.day, b.day))
    .slice(0, DIFFERENCES_MAX)
    .map(({ project, day, sealed, found }) => ({
      ...{ project, sealedRows: sealed, foundRows: found },
      day: fromMillis(Date.parse(day)),
    }));
}

const keyOf = (project: string, day: string): string => `${day} ${project}`;
const bytewise = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));

function readingOf(store: Store, asked: Call): Reading {
  let token = '';
  const onServed: Call['onServed'] = (servedBy, read) => {
    if (token === '') asked.onServed(servedBy, read);
    token = laterTokenText(token, read ?? '');
  };
  return {
    store,
    call: () => ({
      ...asked,
      onServed,
      ...(token === '' ? {} : { freshness: { kind: 'at_least', token } }),
    }),
  };
}
