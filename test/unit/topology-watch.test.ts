// The topology as a stream, over a source that a test moves: order, no gap, bounds and ends.
import http2 from 'node:http2';
import { describe, expect, it } from 'vitest';
import { StowageError } from '../../src/errors.js';
import { until } from '../../src/lib/wait.js';
import { watchTopology } from '../../src/postgres/topology-watch.js';
import { FakeCluster, openClusterDoors } from '../support/fake-cluster.js';

/** A heartbeat that no test waits for. */
const NEVER_MS = 600_000;

/** A cluster whose epoch rises with each transition, which names the epoch that it made. */
class Source extends FakeCluster {
  step(count = 1): void {
    for (let index = 0; index < count; index += 1) {
      const epoch = this.topology().epoch + 1;
      this.move({ node: 'a:1', from: 'unknown', to: 'standby', detail: String(epoch) }, { epoch });
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
  const source = new Source();
  const controller = new AbortController();
  const watch = watchTopology(source, controller.signal, heartbeatMs);
  return { source, controller, watch };
}

describe('watchTopology', () => {
  it('begins with the topology of the moment in which it is first asked', async () => {
    const { source, watch } = watched();
    source.step(3);
    expect(source.listeners.size).toBe(0);
    expect(await next(watch)).toEqual([3, undefined]);
    await watch.return();
  });

  it('gives each transition in order, with the topology right after it', async () => {
    const { source, watch } = watched();
    await next(watch);
    source.step(3);
    expect(await next(watch)).toEqual([1, '1']);
    source.step();
    const rest = [await next(watch), await next(watch), await next(watch)];
    expect(rest).toEqual([2, 3, 4].map((epoch) => [epoch, String(epoch)]));
    const waiting = next(watch);
    source.step(2);
    expect(await waiting).toEqual([5, '5']);
    expect(await next(watch)).toEqual([6, '6']);
    await watch.return();
  });

  it('says when each transition was seen, not when it was taken', async () => {
    const { source, watch } = watched();
    await watch.next();
    const beforeMs = Date.now();
    source.step();
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
    source.step();
    expect(await next(watch)).toEqual([1, '1']);
    await watch.return();
  });

  it('holds 1,000 transitions for a slow consumer, and none past that: SLOW_CONSUMER', async () => {
    const { source, watch } = watched();
    await next(watch);
    source.step(1_000);
    expect(await next(watch)).toEqual([1, '1']);
    source.step();
    expect(source.listeners.size).toBe(1);
    source.step();
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
    busy.source.step();
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
      source.step();
      const seen = await Promise.all(others.map(next));
      expect(seen).toEqual(others.map(() => [epoch, String(epoch)]));
    }
    await expect(slow.next()).rejects.toMatchObject({ reason: 'SLOW_CONSUMER' });
    expect(source.listeners.size).toBe(100);
    await Promise.all(others.map((each) => each.return()));
    expect(source.listeners.size).toBe(0);
  });
});

describe.each(['grpc', 'http'] as const)('the %s door', (door) => {
  it('lets go of a watcher that reads nothing, and stays bounded meanwhile', async () => {
    const source = new Source();
    await using doors = await openClusterDoors(source, { streamIdleTimeoutMs: 100 });
    const session = http2.connect(`http://${doors[door]}`);
    const stream = session.request({
      ':method': 'POST',
      ':path': '/stowage.v1.ClusterService/WatchTopology',
      'content-type': 'application/grpc+proto',
      te: 'trailers',
    });
    stream.pause();
    // An empty message behind its five bytes of framing.
    stream.end(Buffer.alloc(5));
    const is = (size: number) => () => source.listeners.size === size;
    await until(is(1), { timeoutMs: 10_000, what: 'it watches' });
    const detail = 'x'.repeat(10_000);
    for (let count = 0; count < 1_100; count += 1) {
      source.move({ node: 'a:1', from: 'standby', to: 'lagging', detail });
    }
    await until(is(0), { timeoutMs: 10_000, what: 'it is let go' });
    const trailers = await new Promise<http2.IncomingHttpHeaders>((resolve) => {
      stream.once('trailers', resolve);
      stream.resume();
    });
    expect(trailers['grpc-status']).toBe('8');
    session.destroy();
  });
});
