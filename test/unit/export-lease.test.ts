/** When a lease is renewed and ended, over a router that writes down what it is asked. */

import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { StowageError } from '../../src/errors.js';
import { deferred } from '../../src/lib/deferred.js';
import type { Router } from '../../src/postgres/router-api.js';
import type { Statement } from '../../src/postgres/statement.js';
import { ExportLease } from '../../src/store/export-lease.js';
import type { Store } from '../../src/store/store.js';
import { testCall } from '../support/router.js';

const range = { source: 'storage_audit', start: '-infinity', end: 'infinity' } as const;
const MINUTE = 60_000;

/** A store whose writes end as they are told to, and what was written. */
function recorded() {
  const written: string[] = [];
  const state: { failure: StowageError | undefined; gate: Promise<void>; leaving: number } = {
    failure: undefined,
    leaving: 0,
    gate: Promise.resolve(),
  };
  const run = async ({ name }: Statement) => {
    written.push(name);
    await state.gate;
    if (state.failure !== undefined) throw state.failure;
    if (name !== 'open-lease') return [{ snapshot: '1:1:', is_whole: true }];
    const isLeaving = state.leaving-- > 0;
    return [{ snapshot: isLeaving ? null : '1:1:', is_leaving: isLeaving }];
  };
  const router = {
    run,
    transaction: async (_: unknown, body: (transaction: unknown) => Promise<unknown>) => ({
      value: await body({ run }),
      token: 'token',
    }),
  } as unknown as Router;
  return { store: { router } as Store, written, state };
}

/** Lets the clock stand that many minutes ahead. */
function minutesLater(minutes: number): void {
  const now = performance.now.bind(performance);
  const spy = vi.spyOn(performance, 'now').mockImplementation(() => now() + minutes * MINUTE);
  onTestFinished(() => spy.mockRestore());
}

const settledAll = () => new Promise((resolve) => setImmediate(resolve));

describe('A lease', () => {
  it('is renewed five minutes after it was made, once', async () => {
    const { store, written } = recorded();
    const lease = await ExportLease.make(store, testCall(), range);
    lease.keep();
    minutesLater(4.9);
    lease.keep();
    expect(written).toEqual(['open-lease']);
    vi.restoreAllMocks();
    minutesLater(5.1);
    lease.keep();
    lease.keep();
    await settledAll();
    lease.keep();
    expect(written).toEqual(['open-lease', 'renew-lease']);
  });

  it('is renewed at once where it is taken up again', async () => {
    const { store, written } = recorded();
    const lease = await ExportLease.resume(store, testCall(), 'id', 'token');
    lease.keep();
    expect(written).toEqual(['read-lease', 'renew-lease']);
  });

  it('goes on where a renewal fails, and is renewed half a minute later', async () => {
    const { store, written, state } = recorded();
    const lease = await ExportLease.resume(store, testCall(), 'id', 'token');
    state.failure = new StowageError('NO_PRIMARY');
    lease.keep();
    await settledAll();
    lease.keep();
    expect(written).toEqual(['read-lease', 'renew-lease']);
    minutesLater(0.6);
    lease.keep();
    expect(written).toEqual(['read-lease', 'renew-lease', 'renew-lease']);
  });

  it.each([
    ['ends behind its renewal', undefined, ['end-lease']],
    ['is left to expire where its renewal finds no primary', new StowageError('NO_PRIMARY'), []],
  ])('%s', async (_, failed, more) => {
    const { store, written, state } = recorded();
    const lease = await ExportLease.resume(store, testCall(), 'id', 'token');
    const gate = deferred<void>();
    state.gate = gate.promise;
    lease.keep();
    const ended = lease.end();
    await settledAll();
    expect(written).toEqual(['read-lease', 'renew-lease']);
    state.failure = failed;
    gate.resolve();
    await ended;
    expect(written).toEqual(['read-lease', 'renew-lease', ...more]);
  });

  it('is made once what leaves its range has left, or not at all', async () => {
    const { store, written, state } = recorded();
    state.leaving = 2;
    await ExportLease.make(store, testCall(), range);
    expect(written).toEqual(['open-lease', 'open-lease', 'open-lease']);
    state.leaving = Number.POSITIVE_INFINITY;
    const late = testCall({ timeoutMs: 1 });
    const made = ExportLease.make(store, late, range);
    await expect(made).rejects.toMatchObject({ reason: 'OVERLOADED' });
  });

  it('that may have been made is none', async () => {
    for (const reason of ['COMMIT_OUTCOME_UNKNOWN', 'COMMIT_NOT_REPLICATED'] as const) {
      const { store, state } = recorded();
      state.failure = new StowageError(reason);
      const made = ExportLease.make(store, testCall(), range);
      await expect(made).rejects.toMatchObject({ reason: 'NO_PRIMARY' });
    }
  });
});
