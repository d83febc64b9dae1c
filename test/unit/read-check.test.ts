import { describe, expect, it } from 'vitest';
import type { Demand, Route } from '../../src/postgres/freshness.js';
import { checkIdentity, checkRead, type Position } from '../../src/postgres/read-check.js';

const standby: Route = {
  node: 'b:1',
  role: 'standby',
  lagMs: 0,
  startedAt: 'then',
  goodUpTo: 200n,
  mustReplay: undefined,
  isFallback: false,
};
const primary: Route = { ...standby, role: 'primary', goodUpTo: undefined };
const eventual: Demand = { kind: 'eventual' };
const atLeast = (lsn: bigint): Demand => ({
  kind: 'at_least',
  token: { systemIdentifier: 7n, timeline: 1, promotion: 1, lsn, precision: 'exact' },
});

const before = { in_recovery: true, replayed: '0/64', started_at: 'then' };
const after: Position = { in_recovery: true, lsn: '0/C8', timeline: 1, recorded_at: 5n };
const onPrimary = { in_recovery: false, replayed: null, started_at: 'then' };
const flushed: Position = { in_recovery: false, lsn: '0/64' };

/** How a read's check ends: the kind of the stale route, or the reason. */
function verdict(...args: Parameters<typeof checkRead>): unknown {
  try {
    return checkRead(...args);
  } catch (error) {
    const { kind, reason } = error as { kind?: string; reason?: string };
    return kind ?? reason;
  }
}

describe('checkRead', () => {
  it('tells how far the node had come, and by its own data on which timeline', () => {
    expect(verdict(eventual, standby, before, after)).toEqual({
      lsn: 200n,
      newest: { timeline: 1, recordedAt: 5n },
    });
    expect(verdict(eventual, primary, onPrimary, flushed)).toEqual({
      lsn: 100n,
      newest: undefined,
    });
  });

  it.each<[string, Parameters<typeof checkRead>]>([
    ['restarted', [eventual, standby, { ...before, started_at: 'later' }, after]],
    ['other_role', [eventual, standby, { ...before, in_recovery: false }, after]],
    ['other_role', [eventual, standby, before, { ...after, in_recovery: false }]],
    ['other_role', [eventual, primary, before, after]],
    ['diverged', [eventual, standby, before, { ...after, lsn: '0/C9' }]],
    ['behind', [atLeast(101n), standby, before, after]],
    ['behind', [atLeast(1n), standby, { ...before, replayed: null }, after]],
    ['TOKEN_HISTORY_LOST', [atLeast(101n), primary, onPrimary, flushed]],
  ])('finds a node %s', (expected, args) => {
    expect(verdict(...args)).toBe(expected);
  });

  it('takes what was replayed before the statement for the token, not what was behind it', () => {
    // 200 behind the statement, 100 before it: its snapshot is of somewhere between.
    expect(verdict(atLeast(100n), standby, before, after)).toMatchObject({ lsn: 200n });
    expect(verdict(atLeast(150n), standby, before, after)).toBe('behind');
  });
});

describe('checkIdentity', () => {
  it('refuses a primary that was restarted since it was chosen', () => {
    expect(() => checkIdentity(primary, onPrimary)).not.toThrow();
    expect(() => checkIdentity(primary, { ...onPrimary, started_at: 'later' })).toThrow(
      'restarted',
    );
  });
});
