// The topology as a stream, over a source that a test moves: order, no gap, bounds and ends.
import { describe, expect, it } from 'vitest';
import { StowageError } from '../../src/errors.js';
import { until } from '../../src/lib/wait.js';
import type { TopologyEvent } from '../../src/postgres/events.js';
import type { TopologySnapshot } from '../../src/postgres/router-handle.js';
import { type TopologySource, watchTopology } from '../../src/postgres/topology-watch.js';

/** A heartbeat that no test waits for. */
const NEVER_MS = 600_000;

/** A topology that is known by its epoch, which rises with each transition. */
class FakeSource implements TopologySource {
  readonly listeners = new Set<(event: TopologyEvent) => void>();
  #epoch = 0;

  topology(): TopologySnapshot {
    return {
      nodes: [],
      primary: undefined,
      timeline: undefined,
      systemIdentifier: undefined,
      epoch: this.#epoch,
      history: [],
      hasPrimary: false,
      canRead: false,
    };
  }

  subscribe(listener: (event: TopologyEvent) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Makes so many transitions; each names the epoch that it made. */
  move(count = 1): void {
    for (let index = 0; index < count; index += 1) {
      this.#epoch += 1;
      const detail = String(this.#epoch);
      const event: TopologyEvent = {
        ...{ node: 'a:1', from: 'unknown', to: 'standby', detail },
        cause: undefined,
      };
      for (const listener of this.listeners) listener(event);
    }
  }
}

/** The next change, in short: the topology's epoch, and the epoch that its transition made. */
async function next(watch: ReturnType<typeof watchTopology>) {
  const { value } = await watch.next();
  if (value === undefined) throw new Error('the watch has ended');
  return [value.topology.epoch, value.transition?.detail];
}

function watched(heartbeatMs = NEVER_MS) {
  const source = new FakeSource();
  const controller = new AbortController();
  const watch = watchTopology(source, controller.signal, heartbeatMs);
  return { source, controller, watch };
}

describe('watchTopology', () => {
  it('begins with the topology of the moment in which it is first asked', async () => {
    const { source, watch } = watched();
    source.move(3);
    expect(source.listeners.size).toBe(0);
    expect(await next(watch)).toEqual([3, undefined]);
    await watch.return();
  });

  it('gives each transition in order, with the topology right after it', async () => {
    const { source, watch } = watched();
    await next(watch);
    source.move(3);
    expect(await next(watch)).toEqual([1, '1']);
    source.move();
    const rest = [await next(watch), await next(watch), await next(watch)];
    expect(rest).toEqual([2, 3, 4].map((epoch) => [epoch, String(epoch)]));
    const waiting = next(watch);
    source.move(2);
    expect(await waiting).toEqual([5, '5']);
    expect(await next(watch)).toEqual([6, '6']);
    await watch.return();
  });

  it('says when each transition was seen, not when it was taken', async () => {
    const { source, watch } = watched();
    await watch.next();
    const beforeMs = Date.now();
    source.move();
    const seenMs = Date.now();
    await until(() => Date.now() > seenMs, { timeoutMs: 1_000, pollMs: 1, what: 'time passes' });
    const { value } = await watch.next();
    expect(value?.atMs).toBeGreaterThanOrEqual(beforeMs);
    expect(value?.atMs).toBeLessThanOrEqual(seenMs);
    await watch.return();
  });

  it('gives the topology alone while nothing changes', async () => {
    const { source, watch } = watched(5);
    const beats = [await next(watch), await next(watch), await next(watch)];
    expect(beats).toEqual([0, 0, 0].map((epoch) => [epoch, undefined]));
    source.move();
    expect(await next(watch)).toEqual([1, '1']);
    await watch.return();
  });

  it('holds 1,000 transitions for a slow consumer, and drops all with SLOW_CONSUMER past that', async () => {
    const { source, watch } = watched();
    await next(watch);
    source.move(1_000);
    expect(await next(watch)).toEqual([1, '1']);
    source.move();
    expect(source.listeners.size).toBe(1);
    source.move();
    expect(source.listeners.size).toBe(0);
    await expect(watch.next()).rejects.toMatchObject({ reason: 'SLOW_CONSUMER' });
    expect(await watch.next()).toEqual({ done: true, value: undefined });
  });

  it('fails with the reason of an abort at once, waiting or not, and unsubscribes', async () => {
    const reason = new StowageError('DRAINING');
    const waiting = watched();
    await next(waiting.watch);
    const change = waiting.watch.next();
    waiting.controller.abort(reason);
    await expect(change).rejects.toBe(reason);
    expect(waiting.source.listeners.size).toBe(0);
    const busy = watched();
    await next(busy.watch);
    busy.source.move();
    busy.controller.abort(reason);
    await expect(busy.watch.next()).rejects.toBe(reason);
    expect(busy.source.listeners.size).toBe(0);
    const late = watched();
    late.controller.abort(reason);
    await expect(late.watch.next()).rejects.toBe(reason);
    expect(late.source.listeners.size).toBe(0);
  });

  it('unsubscribes when its consumer leaves or throws', async () => {
    const left = watched();
    for await (const { topology } of left.watch) {
      expect(topology.epoch).toBe(0);
      break;
    }
    expect(left.source.listeners.size).toBe(0);
    const thrown = watched();
    await next(thrown.watch);
    const fault = new Error('the consumer fails');
    await expect(thrown.watch.throw(fault)).rejects.toBe(fault);
    expect(thrown.source.listeners.size).toBe(0);
  });

  it('lets no watcher hinder another one', async () => {
    const { source, watch, controller } = watched();
    const others = Array.from({ length: 100 }, () =>
      watchTopology(source, new AbortController().signal, NEVER_MS),
    );
    const slow = watchTopology(source, controller.signal, NEVER_MS);
    for (const each of [watch, slow, ...others]) await next(each);
    await watch.return();
    for (let epoch = 1; epoch <= 1_001; epoch += 1) {
      source.move();
      const seen = await Promise.all(others.map(next));
      expect(seen).toEqual(others.map(() => [epoch, String(epoch)]));
    }
    await expect(slow.next()).rejects.toMatchObject({ reason: 'SLOW_CONSUMER' });
    expect(source.listeners.size).toBe(100);
    await Promise.all(others.map((each) => each.return()));
    expect(source.listeners.size).toBe(0);
  });
});
