import pg from 'pg';
import { describe, expect, it } from 'vitest';
import { StowageError } from '../../src/errors.js';
import { NodeLost } from '../../src/postgres/node-lost.js';
import {
  type FailureContext,
  nodeEvidence,
  repetition,
  toStowageError,
} from '../../src/postgres/sqlstate.js';

function serverError(code: string, facts: Partial<pg.DatabaseError> = {}): pg.DatabaseError {
  const error = new pg.DatabaseError(`secret of ${code}`, 1, 'error');
  return Object.assign(error, { code, severity: 'ERROR', ...facts });
}

function socketError(code: string): Error {
  return Object.assign(new Error(`connect ${code}`), { code, syscall: 'connect', errno: -1 });
}

/** All that a pooler says of itself: it has no function to name. */
const pooler = { severity: 'FATAL', routine: undefined } as const;

const later = performance.now() + 1e6;
const context = (phase: FailureContext['phase']): FailureContext => ({
  phase,
  node: 'a:1',
  deadlineMs: later,
});

describe('toStowageError', () => {
  it.each<[string, unknown, FailureContext['phase'], string]>([
    ['a demotion', serverError('25006'), 'write', 'NO_PRIMARY'],
    ['a read that writes', serverError('25006'), 'read', 'INTERNAL'],
    [
      'a BEGIN READ WRITE on a standby',
      serverError('0A000', { routine: 'call_bool_check_hook' }),
      'write',
      'NO_PRIMARY',
    ],
    [
      'a lost connection amid a read',
      new Error('Connection terminated unexpectedly'),
      'read',
      'NO_NODE',
    ],
    ['one amid a write', new Error('Connection terminated unexpectedly'), 'write', 'NO_PRIMARY'],
    ['what a pooler says amid a read', serverError('08P01', pooler), 'read', 'NO_NODE'],
    ['what it says amid a write', serverError('08P01', pooler), 'write', 'NO_PRIMARY'],
    ['a refused connection', socketError('ECONNREFUSED'), 'read', 'NO_NODE'],
    ['a reset connection', socketError('ECONNRESET'), 'write', 'NO_PRIMARY'],
    [
      'a host without a listening address',
      new AggregateError([socketError('ECONNREFUSED')], 'all refused'),
      'read',
      'NO_NODE',
    ],
    ['a broken pipe', Object.assign(new Error('ended'), { code: 'EPIPE' }), 'read', 'NO_NODE'],
    [
      'a foreign certificate',
      Object.assign(new Error('x'), { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' }),
      'read',
      'NO_NODE',
    ],
    ['a connect timeout', new Error('timeout expired'), 'read', 'NO_NODE'],
    ['a shutdown', serverError('57P01', { severity: 'FATAL' }), 'read', 'NO_NODE'],
    ['a server that starts', serverError('57P03', { severity: 'FATAL' }), 'write', 'NO_PRIMARY'],
    ['a serialization failure', serverError('40001'), 'write', 'OVERLOADED'],
    ['a deadlock', serverError('40P01'), 'write', 'OVERLOADED'],
    ['a lock timeout', serverError('55P03'), 'write', 'OVERLOADED'],
    ['a duplicate key', serverError('23505'), 'write', 'ALREADY_EXISTS'],
    ['a broken check', serverError('23514', { constraint: 'c' }), 'write', 'INTERNAL'],
    ['a row without a partition', serverError('23514'), 'write', 'INTERNAL'],
    ['more than four new months', serverError('SW001'), 'write', 'EVENT_TIME_OUT_OF_RANGE'],
    ['a month out of range', serverError('SW002'), 'write', 'EVENT_TIME_OUT_OF_RANGE'],
    ['a sealed month', serverError('SW003'), 'write', 'EVENT_TIME_OUT_OF_RANGE'],
    ['a NUL byte', serverError('22021'), 'write', 'INVALID_REQUEST'],
    ['too large an index row', serverError('54000'), 'write', 'INVALID_REQUEST'],
    ['too many connections', serverError('53300', { severity: 'FATAL' }), 'read', 'OVERLOADED'],
    ['a full disk', serverError('53100'), 'write', 'OVERLOADED'],
    ['a missing table', serverError('42P01'), 'read', 'SCHEMA_MISMATCH'],
    ['a missing function', serverError('42883'), 'read', 'SCHEMA_MISMATCH'],
    ['a wrong password', serverError('28P01', { severity: 'FATAL' }), 'read', 'INTERNAL'],
    ['a missing grant', serverError('42501'), 'read', 'INTERNAL'],
    ['a cancel by an administrator', serverError('57014'), 'read', 'CANCELLED'],
    ['a syntax error', serverError('42601'), 'read', 'INTERNAL'],
    ['a defect', new TypeError('x is not a function'), 'read', 'INTERNAL'],
    ['what is no error', 'text', 'read', 'INTERNAL'],
  ])('gives %s its reason', (_, error, phase, reason) => {
    const told = toStowageError(error, context(phase));
    expect(told.reason).toBe(reason);
    expect(told.cause).toBe(error);
    expect(told.message).not.toContain('secret');
    if (told.retry === 'after_delay') expect(told.retryDelayMs).toBe(1_000);
  });

  it('takes a cancelled statement past its deadline for the deadline', () => {
    const told = toStowageError(serverError('57014'), { ...context('read'), deadlineMs: 0 });
    expect(told.reason).toBe('DEADLINE_EXCEEDED');
  });

  it('names the constraint that was broken', () => {
    const error = serverError('23505', { constraint: 'projects_pkey', detail: 'Key (x)=(y)' });
    expect(toStowageError(error, context('write')).metadata).toEqual({
      constraint: 'projects_pkey',
    });
  });

  it('leaves a StowageError what it is', () => {
    const error = new StowageError('DRAINING');
    expect(toStowageError(error, context('write'))).toBe(error);
  });
});

describe('repetition', () => {
  it('repeats elsewhere what a node was given up under', () => {
    const told = toStowageError(new NodeLost('a:1'), context('read'));
    expect(told.reason).toBe('NO_NODE');
    expect(repetition(told, { role: 'primary', mustReplay: undefined })).toBe('elsewhere');
    expect(toStowageError(new NodeLost('a:1'), context('write')).reason).toBe('NO_PRIMARY');
  });
});

describe('nodeEvidence', () => {
  it.each<[unknown, ReturnType<typeof nodeEvidence>]>([
    [socketError('ECONNREFUSED'), 'lost'],
    [new Error('Connection terminated unexpectedly'), 'lost'],
    [serverError('57P01', { severity: 'FATAL' }), 'lost'],
    [serverError('57P03', { severity: 'FATAL' }), 'lost'],
    [serverError('08P01', pooler), 'lost'],
    [serverError('25006'), 'demoted'],
    [serverError('25P03', { severity: 'FATAL' }), undefined],
    [serverError('40001', { severity: 'FATAL' }), undefined],
    [serverError('53300', { severity: 'FATAL' }), 'crowded'],
    [serverError('23505'), undefined],
    [new NodeLost('a:1'), undefined],
    [new TypeError('x'), undefined],
  ])('says what %o tells of the node', (error, evidence) => {
    expect(nodeEvidence(error)).toBe(evidence);
  });
});
