// Beats come in silence only, and end with the source.
import { describe, expect, it } from 'vitest';
import { deferred } from '../../src/lib/deferred.js';
import { withHeartbeats } from '../../src/lib/heartbeats.js';

describe('withHeartbeats', () => {
  it('beats while the source is silent, and loses nothing of it', async () => {
    const word = deferred<string>();
    async function* source() {
      yield 'first';
      yield await word.promise;
    }
    const seen: string[] = [];
    for await (const value of withHeartbeats(source(), 5, () => 'beat')) {
      seen.push(value);
      if (seen.length === 4) word.resolve('last');
    }
    const [first, ...others] = seen;
    expect(first).toBe('first');
    expect(others.at(-1)).toBe('last');
    expect(new Set(others.slice(0, -1))).toEqual(new Set(['beat']));
    expect(others.length).toBeGreaterThanOrEqual(4);
  });

  it('adds nothing to a source that speaks in time', async () => {
    async function* source() {
      yield* [1, 2, 3];
    }
    const seen: number[] = [];
    for await (const value of withHeartbeats(source(), 60_000, () => 0)) seen.push(value);
    expect(seen).toEqual([1, 2, 3]);
  });

  it('hands on what the source throws', async () => {
    async function* source(): AsyncGenerator<number> {
      yield 1;
      throw new Error('broken');
    }
    const beats = withHeartbeats(source(), 60_000, () => 0);
    await beats.next();
    await expect(beats.next()).rejects.toThrow('broken');
  });

  it('ends the source when it is left', async () => {
    let isEnded = false;
    async function* source() {
      try {
        yield 1;
        yield 2;
      } finally {
        isEnded = true;
      }
    }
    for await (const value of withHeartbeats(source(), 60_000, () => 0)) {
      expect(value).toBe(1);
      break;
    }
    expect(isEnded).toBe(true);
  });
});
