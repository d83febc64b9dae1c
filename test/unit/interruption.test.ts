import { describe, expect, it } from 'vitest';
import { deferred } from '../../src/lib/deferred.js';
import { NEVER, settlesWithin, watchLimits, within } from '../../src/lib/interruption.js';

describe('within', () => {
  const soon = () => performance.now() + 5;

  it('gives the value of a promise that is in time', async () => {
    const limits = { signal: NEVER, deadlineMs: Infinity };
    expect(await within(Promise.resolve(1), limits)).toEqual({ value: 1 });
  });

  it('throws what the promise rejects with', async () => {
    const limits = { signal: NEVER, deadlineMs: Infinity };
    await expect(within(Promise.reject(new Error('no')), limits)).rejects.toThrow('no');
  });

  it('tells the deadline', async () => {
    const { promise } = deferred<void>();
    expect(await within(promise, { signal: NEVER, deadlineMs: soon() })).toEqual({
      interruption: 'deadline',
    });
  });

  it('tells an abort, before and while it waits', async () => {
    const { promise } = deferred<void>();
    const aborted = { interruption: 'aborted' };
    const controller = new AbortController();
    const limits = { signal: controller.signal, deadlineMs: Infinity };
    const waiting = within(promise, limits);
    controller.abort();
    expect(await waiting).toEqual(aborted);
    expect(await within(promise, limits)).toEqual(aborted);
  });
});

describe('watchLimits', () => {
  it('interrupts once, and not after it was stopped', () => {
    const seen: string[] = [];
    const controller = new AbortController();
    const limits = { signal: controller.signal, deadlineMs: Infinity };
    const stop = watchLimits(limits, () => seen.push('stopped'));
    watchLimits(limits, (interruption) => seen.push(interruption));
    stop();
    controller.abort();
    expect(seen).toEqual(['aborted']);
  });
});

describe('settlesWithin', () => {
  it('tells whether a promise settled, however it did', async () => {
    expect(await settlesWithin(Promise.resolve(), 1_000)).toBe(true);
    expect(await settlesWithin(Promise.reject(new Error('no')), 1_000)).toBe(true);
    expect(await settlesWithin(deferred<void>().promise, 5)).toBe(false);
  });
});
