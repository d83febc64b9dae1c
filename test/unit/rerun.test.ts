import pg from 'pg';
import { describe, expect, it } from 'vitest';
import { StowageError } from '../../src/errors.js';
import type { Route } from '../../src/postgres/freshness.js';
import { StaleRoute } from '../../src/postgres/read-check.js';
import {
  type CommitTrace,
  delayBefore,
  mayHaveCommitted,
  type Rerun,
  rerunAfter,
} from '../../src/postgres/rerun.js';

function serverError(code: string, facts: Partial<pg.DatabaseError> = {}): pg.DatabaseError {
  const error = new pg.DatabaseError(code, 1, 'error');
  return Object.assign(error, { code, severity: 'ERROR', routine: 'ExecProcNode', ...facts });
}

const lost = new Error('Connection terminated unexpectedly');
const ended = { severity: 'FATAL', routine: 'ProcessInterrupts' } as const;

/** A unit of a timeout, COMMIT and a position, of which the tags were answered. */
const trace = (tags: readonly string[], error: unknown, isSent = true): CommitTrace => ({
  isSent,
  results: tags.map((tag) => ({ rows: [], tag })),
  error,
});
const COMMIT_STEP = 1;

describe('mayHaveCommitted', () => {
  it.each<[string, boolean, CommitTrace]>([
    ['answered', true, trace(['SELECT 1', 'COMMIT', 'SELECT 1'], undefined)],
    ['answered before the connection was lost', true, trace(['SELECT 1', 'COMMIT'], lost)],
    ['lost without an answer', true, trace([], lost)],
    ['lost amid the answers', true, trace(['SELECT 1'], lost)],
    ['ended while it waited', true, trace(['SELECT 1'], serverError('57P01', ended))],
    ['of a pooler whose server is gone', true, trace([], ofPooler('FATAL'))],
    ['of an old pooler whose server is gone', true, trace([], ofPooler('ERROR'))],
    ['of a server that ran out of memory amid it', true, trace(['SELECT 1'], fatal('53200'))],
    ['that the driver refused', false, trace([], lost, false)],
    ['ended before it began', false, trace([], serverError('57P01', ended))],
    ['refused', false, trace(['SELECT 1'], serverError('40001'))],
    ['whose transaction had failed', false, trace(['SELECT 1', 'ROLLBACK', 'SELECT 1'], undefined)],
  ])('tells of a COMMIT %s: %s', (_, expected, observed) => {
    expect(mayHaveCommitted(observed, COMMIT_STEP)).toBe(expected);
  });
});

/** Versions of PgBouncer differ in how severely they speak of a lost server. */
function ofPooler(severity: 'ERROR' | 'FATAL'): pg.DatabaseError {
  return serverError('08P01', { severity, routine: undefined });
}

function fatal(code: string): pg.DatabaseError {
  return serverError(code, { severity: 'FATAL' });
}

describe('rerunAfter', () => {
  const because = (cause: unknown) => new StowageError('OVERLOADED', { cause });
  it.each<[string, Rerun, StowageError]>([
    ['a serialization failure', 'conflict', because(serverError('40001'))],
    ['a deadlock', 'conflict', because(serverError('40P01'))],
    ['a lock timeout', 'never', because(serverError('55P03'))],
    ['a lost connection', 'primary', because(lost)],
    ['a shutdown', 'primary', because(fatal('57P01'))],
    ['a server that starts', 'primary', because(fatal('57P03'))],
    ['a demotion', 'primary', because(serverError('25006'))],
    ['a node that was restarted', 'primary', because(new StaleRoute('restarted', {} as Route))],
    ['a full server', 'room', because(fatal('53300'))],
    ['a full disk', 'never', because(serverError('53100'))],
    ['a duplicate key', 'never', because(serverError('23505'))],
    ['a cancelled statement', 'never', because(serverError('57014'))],
    ['a full queue', 'never', new StowageError('OVERLOADED')],
    ['a failed precondition', 'never', new StowageError('ETAG_MISMATCH')],
    ['a commit in doubt', 'never', new StowageError('COMMIT_OUTCOME_UNKNOWN', { cause: lost })],
    ['a commit that stands alone', 'never', new StowageError('COMMIT_NOT_REPLICATED')],
  ])('says what is done after %s: %s', (_, expected, refusal) => {
    expect(rerunAfter(refusal)).toBe(expected);
  });
});

describe('delayBefore', () => {
  it('ends conflicts after ten runs, and lets the deadline end the others', () => {
    expect(delayBefore('conflict', 9)).toBeLessThanOrEqual(200);
    expect(delayBefore('conflict', 10)).toBeUndefined();
    expect(delayBefore('never', 1)).toBeUndefined();
    expect(delayBefore('primary', 1)).toBe(0);
    for (const rerun of ['primary', 'room'] as const) {
      expect(delayBefore(rerun, 1_000)).toBeGreaterThanOrEqual(250);
      expect(delayBefore(rerun, 1_000)).toBeLessThanOrEqual(500);
    }
  });
});
