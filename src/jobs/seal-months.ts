/**
 * Seals months of the audit trail that are over for long enough, and again where late events came.
 * A month is closed in a commit of its own before it is read, so that the seal is of all that there
 * will be.
 */

import type { Transaction } from '../postgres/router-api.js';
import type { Writer } from '../store/commit.js';
import { type DayDigest, digestMonth, type MonthDigest } from '../store/month-digest.js';
import type { DueMonthRow } from '../store/seals.sql.js';
import * as statements from '../store/seals.sql.js';
import { jobCall, whenElected } from './election.js';
import type { Job } from './job.js';

const NAME = 'seal-months';
/** Late events are sealed within a quarter of an hour. */
const INTERVAL_MS = 900_000;
/** A year: a trail that was taken over is sealed within hours, beside other work. */
const MONTHS_MAX = 12;
/** Parts that are written by one statement. */
const PARTS_MAX = 2_000;

/** The job: twelve months a run at most, the oldest first. */
export function sealMonthsJob({ router, keeping }: Writer): Job {
  return {
    name: NAME,
    intervalMs: INTERVAL_MS,
    async run(signal) {
      const params = [keeping.auditSealDays, MONTHS_MAX];
      const months = await whenElected(router, NAME, signal, (transaction) =>
        transaction.run(statements.dueMonths, params),
      );
      for (const month of months ?? []) {
        if (signal.aborted) return;
        await sealMonth(router, signal, month);
      }
    },
  };
}

/** A month that is closed, as it was before it was read. */
interface ClosedMonth {
  readonly month: DueMonthRow;
  readonly partition: string;
  /** Its last seal then; 0: none. */
  readonly sealNumber: number;
  /** Transactions of late events, all of which the reading sees; a later one asks again. */
  readonly late: readonly string[];
}

/** Closes, reads and seals one month. Another server may do the same: one seal comes of it. */
async function sealMonth(
  router: Writer['router'],
  signal: AbortSignal,
  month: DueMonthRow,
): Promise<void> {
  const { value: closed, token } = await router.transaction(jobCall(NAME, signal), (transaction) =>
    close(transaction, month),
  );
  if (closed === undefined) return;
  const freshness = { kind: 'at_least', token } as const;
  const call = { ...jobCall(NAME, signal), freshness, deadlineMs: Infinity };
  const digest = await digestMonth(router, call, month);
  await whenElected(router, NAME, signal, (transaction) => addSeal(transaction, closed, digest));
}

async function close(
  transaction: Transaction,
  month: DueMonthRow,
): Promise<ClosedMonth | undefined> {
  const { range_start, made_at } = month;
  const [made] = await transaction.run(statements.closeMonth, [range_start]);
  const partition = made?.partition ?? undefined;
  if (partition === undefined) return undefined;
  const notes = await transaction.run(statements.lateNotes, [range_start]);
  const [state] = await transaction.run(statements.monthState, [range_start, made_at, null, null]);
  const late = notes.map(({ xid }) => xid);
  return { month, partition, late, sealNumber: state?.seal_number ?? 0 };
}

/**
 * Nothing where the month has left meanwhile, or another server has sealed it, with other late
 * events perhaps; no further seal where the month is as it was sealed.
 */
async function addSeal(
  transaction: Transaction,
  { month, partition, sealNumber, late }: ClosedMonth,
  { rows, sha256, days }: MonthDigest,
): Promise<void> {
  const { range_start, made_at } = month;
  const asked = [range_start, made_at, rows, sha256];
  const [state] = await transaction.run(statements.monthState, asked);
  if (!state?.is_there || state.seal_number !== sealNumber) return;
  if (!state.is_same) {
    const next = sealNumber + 1;
    await transaction.run(statements.addSeal, [range_start, next, partition, rows, sha256]);
    for (let at = 0; at < days.length; at += PARTS_MAX) {
      const part: readonly DayDigest[] = days.slice(at, at + PARTS_MAX);
      await transaction.run(statements.addSealParts, [
        ...[range_start, next],
        part.map(({ project }) => project),
        part.map(({ day }) => day),
        part.map((each) => each.rows),
        part.map((each) => each.sha256),
      ]);
    }
  }
  await transaction.run(statements.forgetNotes, [range_start, late]);
}
