import { connect, createServer, type Server } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import {
  failuresOf,
  firstSuccessMs,
  longestGapMs,
  worstMs,
} from '../../bench/frame/paced-calls.js';
import { nowMs } from '../../bench/rig/clock.js';
import { openCountingProxy, ReadyCounter } from '../../bench/rig/counting-proxy.js';
import { NodeStates } from '../../bench/rig/node-states.js';
import { type PacedCall, PacedLoad } from '../../bench/rig/paced-load.js';
import { deferred } from '../../src/lib/deferred.js';
import { until } from '../../src/lib/wait.js';

/** A call from one moment to another. */
const call = (startedMs: number, endedMs: number, failure?: string): PacedCall => ({
  ...{ startedMs, endedMs, failure },
});

describe('bench calls around a fault', () => {
  it('tell the first success from then on, however long its call had waited', () => {
    const calls = [call(0, 90), call(95, 100, 'NO_PRIMARY'), call(10, 130), call(101, 120)];
    expect(firstSuccessMs(calls, 100)).toBe(120);
    expect(firstSuccessMs(calls, 121)).toBe(130);
    expect(firstSuccessMs(calls, 131)).toBeUndefined();
  });

  it('have no gap where each was quick', () => {
    expect(longestGapMs([call(0, 10), call(5, 55), call(60, 61)], 0, 50)).toBe(0);
  });

  it('join what is slow at the same time, and nothing else', () => {
    const together = [call(1000, 1400), call(1300, 1900), call(1200, 1280)];
    expect(longestGapMs(together, 0, 50)).toBe(900);
    expect(longestGapMs([...together, call(5000, 5060), call(6000, 6070)], 0, 50)).toBe(900);
  });

  it('begin a gap at the fault, where a call was under way already', () => {
    expect(longestGapMs([call(980, 1500)], 1000, 50)).toBe(500);
    expect(longestGapMs([call(200, 900)], 1000, 50)).toBe(0);
  });

  it('take a failure for slow, however quick it was', () => {
    expect(longestGapMs([call(1000, 1001, 'NO_NODE'), call(1001, 1004, 'NO_NODE')], 0, 50)).toBe(4);
  });

  it('count failures by reason, and know the longest', () => {
    const calls = [
      call(0, 5, 'NO_NODE'),
      call(1, 3),
      call(2, 30, 'OVERLOADED'),
      call(3, 9, 'NO_NODE'),
    ];
    expect(failuresOf(calls)).toEqual({ NO_NODE: 2, OVERLOADED: 1 });
    expect(worstMs(calls)).toBe(28);
    expect(worstMs([])).toBe(0);
  });
});

describe('bench load', () => {
  it('makes further calls while earlier ones hang, and waits for all when stopped', async () => {
    const hold = deferred<void>();
    let made = 0;
    const load = new PacedLoad(500, () => {
      made += 1;
      return hold.promise;
    });
    await until(() => made >= 5, { timeoutMs: 20_000, what: 'five calls are under way' });
    expect(load.ended).toEqual([]);
    const stopped = load.stop();
    const madeWhenStopped = made;
    hold.resolve();
    expect(await stopped).toHaveLength(madeWhenStopped);
    expect(made).toBe(madeWhenStopped);
  });

  it('keeps its pace, not a call more', async () => {
    const begunMs = nowMs();
    let made = 0;
    await using load = new PacedLoad(100, async () => {
      made += 1;
    });
    await until(() => made >= 10, { timeoutMs: 20_000, what: 'ten calls were made' });
    expect(made - 1).toBeLessThanOrEqual(((nowMs() - begunMs) / 1000) * 100);
    expect(load.ended.every(({ failure }) => failure === undefined)).toBe(true);
  });
});

describe('bench node states', () => {
  const change = (node: string, from: string, to: string, atMs: number) => ({
    topology: { node, from, to, detail: '', atMs },
  });

  it('know when a node was first held for something else after the fault', async () => {
    const states = new NodeStates();
    states.take({ cpuUs: 1 });
    states.take(change('a', 'unknown', 'primary', 1));
    states.take(change('a', 'primary', 'unknown', 5));
    states.take(change('a', 'unknown', 'primary', 6));
    states.take(change('b', 'primary', 'unknown', 20));
    states.take(change('a', 'primary', 'unreachable', 30));
    states.take(change('a', 'unreachable', 'unknown', 40));
    expect(await states.whenLeft('a', 'primary', 10)).toBe(30);
    expect(states.of('a')).toBe('unknown');
    expect(states.of('c')).toBeUndefined();
  });
});

describe('bench round trips', () => {
  const message = (type: string, payload: string): Buffer => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(4 + payload.length);
    return Buffer.concat([Buffer.from(type), length, Buffer.from(payload)]);
  };
  /** A row whose text looks like the message that is counted. */
  const answer = Buffer.concat([
    message('D', `Z${'\0'.repeat(3)}\x05I`),
    message('C', 'SELECT 1'),
    message('Z', 'I'),
  ]);
  let server: Server | undefined;

  afterEach(() => {
    server?.close();
  });

  it('are counted in bytes that are cut anywhere, and not in rows', () => {
    for (const bytes of [1, 2, 3, 7, answer.length * 3]) {
      const counter = new ReadyCounter();
      const all = Buffer.concat([answer, answer, answer]);
      for (let at = 0; at < all.length; at += bytes) counter.take(all.subarray(at, at + bytes));
      expect(counter.count).toBe(3);
    }
  });

  it('are counted on every connection of a proxy, which changes nothing', async () => {
    server = createServer((socket) => socket.on('data', () => socket.end(answer)));
    await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    const proxy = await openCountingProxy(typeof address === 'object' ? (address?.port ?? 0) : 0);
    const ask = async () => {
      const socket = connect(proxy.port, '127.0.0.1');
      socket.write('?');
      const chunks: Buffer[] = [];
      for await (const chunk of socket) chunks.push(chunk as Buffer);
      return Buffer.concat(chunks);
    };
    expect(await Promise.all([ask(), ask()])).toEqual([answer, answer]);
    expect(proxy.roundTrips).toBe(2);
    await proxy.close();
  });
});
