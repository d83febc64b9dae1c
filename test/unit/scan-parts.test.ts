import { describe, expect, it } from 'vitest';
import { Batcher } from '../../src/cli/scan/batch.js';
import { formatBytes, formatSeconds } from '../../src/cli/scan/format.js';
import { mapOrdered, Workers } from '../../src/cli/scan/ordered.js';
import { timestampOfNs, wholeMicros } from '../../src/cli/scan/times.js';
import { deferred } from '../../src/lib/deferred.js';

async function* numbers(count: number): AsyncGenerator<number, void, void> {
  for (let number = 0; number < count; number += 1) yield number;
}

describe('mapOrdered', () => {
  it('answers in the order of the source whatever is done first', async () => {
    const gates = Array.from({ length: 4 }, () => deferred<void>());
    const map = async (number: number): Promise<number> => {
      await gates[number]?.promise;
      if (number > 0) gates[number - 1]?.resolve();
      return number;
    };
    gates[3]?.resolve();
    const answers: number[] = [];
    for await (const answer of mapOrdered(numbers(4), map, 10)) answers.push(answer);
    expect(answers).toEqual([0, 1, 2, 3]);
  });

  it('takes no more from the source than it may work ahead', async () => {
    let taken = 0;
    const map = async (number: number): Promise<number> => {
      taken = number + 1;
      return number;
    };
    for await (const _ of mapOrdered(numbers(100), map, 5)) break;
    expect(taken).toBeLessThanOrEqual(5);
  });

  it('ends with the first failure in order', async () => {
    const map = async (number: number): Promise<number> => {
      if (number >= 2) throw new Error(`at ${number}`);
      return number;
    };
    const answers: number[] = [];
    const consume = async (): Promise<void> => {
      for await (const answer of mapOrdered(numbers(9), map, 9)) answers.push(answer);
    };
    await expect(consume()).rejects.toThrow('at 2');
    expect(answers).toEqual([0, 1]);
  });
});

describe('Workers', () => {
  it('gives each worker one task at a time and every task a worker', async () => {
    const workers = new Workers(['x', 'y']);
    const busy = new Set<string>();
    let busyMost = 0;
    const task = (): Promise<void> =>
      workers.run(async (worker) => {
        expect(busy.has(worker)).toBe(false);
        busy.add(worker);
        busyMost = Math.max(busyMost, busy.size);
        await Promise.resolve();
        busy.delete(worker);
      });
    await Promise.all(Array.from({ length: 20 }, task));
    expect(busyMost).toBe(2);
  });
});

describe('Batcher', () => {
  it('fills batches by number', () => {
    const batcher = new Batcher(2);
    const ready = ['a', 'b', 'c'].map((objectKey) => batcher.add({ objectKey }));
    expect(ready).toMatchObject([undefined, { position: 'b' }, undefined]);
    expect(batcher.take()).toMatchObject({ position: 'c', objects: [{ objectKey: 'c' }] });
    expect(batcher.take()).toBeUndefined();
  });

  it('fills batches by bytes', () => {
    const batcher = new Batcher(1000);
    const sizes: number[] = [];
    for (let number = 0; number < 1000; number += 1) {
      const objectKey = `${number}`.padStart(1024, 'k');
      const ready = batcher.add({ objectKey });
      if (ready !== undefined) sizes.push(ready.objects.length);
    }
    const rest = batcher.take()?.objects.length ?? 0;
    expect(sizes).toEqual([409, 409]);
    expect(818 + rest).toBe(1000);
  });
});

describe('file times', () => {
  it('are cut to microseconds, before 1970 too', () => {
    expect(timestampOfNs(1_500_000_999n)).toEqual({ seconds: 1n, nanos: 500_000_000 });
    expect(timestampOfNs(-1n)).toEqual({ seconds: -1n, nanos: 999_999_000 });
    expect(wholeMicros(-1_000n)).toBe(-1n);
  });

  it('stay within the years that can be recorded', () => {
    expect(timestampOfNs(2n ** 80n)).toEqual({ seconds: 253_402_300_799n, nanos: 999_999_000 });
    expect(timestampOfNs(-(2n ** 80n))).toEqual({ seconds: -62_135_596_800n, nanos: 0 });
  });
});

describe('numbers for a person', () => {
  it('have units that fit', () => {
    expect([0, 1023, 1536, 5n * 1024n ** 3n].map(formatBytes)).toEqual([
      '0 B',
      '1023 B',
      '1.5 KiB',
      '5.0 GiB',
    ]);
    expect([0.4, 59, 200, 7500].map(formatSeconds)).toEqual([
      '0 s',
      '59 s',
      '3 min 20 s',
      '2 h 5 min',
    ]);
  });
});
