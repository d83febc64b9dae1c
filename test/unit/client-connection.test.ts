// The client's connection: its states in order, how it comes back, and that it ends.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Code } from '@connectrpc/connect';
import { afterEach, describe, expect, it } from 'vitest';
import {
  type ConnectionState,
  createStowage,
  type Stowage,
  type TransportOptions,
} from '../../src/client/index.js';
import { deferred } from '../../src/lib/deferred.js';
import { until } from '../../src/lib/wait.js';
import { batch, collect } from '../support/client-doors.js';
import { type Doors, openDoors } from '../support/doors.js';
import { freePort } from '../support/free-port.js';
import { failure } from '../support/service.js';
import { openProxy } from '../support/tcp-proxy.js';

const endings: (() => unknown)[] = [];

afterEach(async () => {
  for (const end of endings.splice(0).reverse()) await end();
});

function open(options: TransportOptions): Stowage {
  const client = createStowage(options);
  endings.push(() => client.close());
  return client;
}

async function openServer(port = 0): Promise<Doors> {
  const doors = await openDoors({ grpcAddress: { host: '127.0.0.1', port } });
  endings.push(() => doors.close());
  return doors;
}

function start(file: string, ...args: string[]): ChildProcess {
  const path = fileURLToPath(new URL(`../support/${file}`, import.meta.url));
  const child = spawn(process.execPath, ['--import', 'tsx', path, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  endings.push(() => child.kill('SIGKILL'));
  return child;
}

async function firstLine(child: ChildProcess): Promise<string> {
  if (child.stdout === null) throw new Error('the child has no output');
  const [line] = await once(createInterface(child.stdout), 'line');
  return String(line);
}

/** The changes of a client, as they come. */
function changesOf(client: Stowage): ConnectionState[] {
  const changes: ConnectionState[] = [client.state];
  client.onStateChange((state, previous) => {
    expect(previous).toBe(changes.at(-1));
    changes.push(state);
  });
  return changes;
}

const reaches = (client: Stowage, state: ConnectionState) =>
  until(() => client.state === state, { timeoutMs: 10_000, what: `the client is ${state}` });

describe('the state of a client', () => {
  it('goes through all five names as its server comes, goes and comes back', async () => {
    const port = await freePort();
    const client = open({ endpoints: `127.0.0.1:${port}` });
    const changes = changesOf(client);
    expect(await failure(client.storage.getObject({ objectKey: 'a' }))).toMatchObject({
      code: Code.Unavailable,
      reason: undefined,
      retry: 'after_delay',
      message: `connect ECONNREFUSED 127.0.0.1:${port}`,
    });
    const first = await openServer(port);
    await client.ready();
    await client.storage.getObject({ objectKey: 'a' });
    await first.close();
    await reaches(client, 'IDLE');
    await openServer(port);
    await client.storage.getObject({ objectKey: 'a' });
    client.close();
    await until(() => changes.at(-1) === 'SHUTDOWN', { timeoutMs: 1_000, what: 'it is told' });
    expect(changes).toEqual([
      'IDLE',
      'CONNECTING',
      'TRANSIENT_FAILURE',
      'READY',
      'IDLE',
      'CONNECTING',
      'READY',
      'SHUTDOWN',
    ]);
    expect(client.state).toBe('SHUTDOWN');
  });

  it('is told to nobody who has left, and a listener that throws harms no call', async () => {
    const { grpcUrl } = await openServer();
    const client = open({ endpoints: grpcUrl });
    const told: string[] = [];
    const thrown: unknown[] = [];
    const listeners = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    process.once('uncaughtException', (error) => thrown.push(error));
    try {
      client.onStateChange((state) => told.push(state))();
      const leave = client.onStateChange(() => {
        leave();
        throw new TypeError('a defect of the program');
      });
      await client.ready();
      await client.storage.getObject({ objectKey: 'a' });
    } finally {
      for (const listener of listeners) process.on('uncaughtException', listener);
    }
    expect(told).toEqual([]);
    expect(thrown).toHaveLength(1);
  });
});

describe('ready()', () => {
  it('waits for a server that comes late', async () => {
    const port = await freePort();
    const client = open({ endpoints: `127.0.0.1:${port}` });
    const ready = client.ready();
    await reaches(client, 'TRANSIENT_FAILURE');
    await openServer(port);
    await ready;
    expect(client.state).toBe('READY');
    await client.ready();
  });

  it('gives up in time and says why', async () => {
    const client = open({ endpoints: `127.0.0.1:${await freePort()}` });
    const error = await failure(client.ready({ timeoutMs: 150 }));
    expect(error).toMatchObject({ code: Code.Unavailable, retry: 'after_delay' });
    expect(error.message).toMatch(/^not connected within 150 ms: connect ECONNREFUSED 127/);
  });

  it('has no bound where calls have none', async () => {
    const { grpcUrl } = await openServer();
    const client = open({ endpoints: grpcUrl, timeoutMs: 0 });
    await client.ready();
    expect(client.state).toBe('READY');
  });

  it('ends when it is aborted, and when the client is closed', async () => {
    const client = open({ endpoints: `127.0.0.1:${await freePort()}` });
    const signal = AbortSignal.abort();
    expect(await failure(client.ready({ signal }))).toMatchObject({
      code: Code.Canceled,
      retry: 'never',
      cause: signal.reason,
    });
    const controller = new AbortController();
    const aborted = failure(client.ready({ signal: controller.signal }));
    const closed = failure(client.ready());
    controller.abort();
    const over = { name: 'CallError', code: Code.Canceled, retry: 'never' };
    expect(await aborted).toMatchObject(over);
    client.close();
    expect(await closed).toMatchObject(over);
    expect(await failure(client.ready())).toMatchObject(over);
  });
});

describe('the way back', () => {
  it('is tried soon and ever less often, by a factor with some jitter', async () => {
    const { grpcUrl } = await openServer();
    await using proxy = await openProxy(grpcUrl);
    const client = open({ endpoints: proxy.address });
    proxy.refuse();
    const ready = client.ready({ timeoutMs: 30_000 });
    const tries = () => until(() => proxy.attempts.length >= 6, { timeoutMs: 20_000, what: 'six' });
    await tries();
    const gaps = proxy.attempts.slice(1).map((atMs, index) => atMs - (proxy.attempts[index] ?? 0));
    // Each is the one before times 1.6, a fifth more or less; a busy machine adds to it. What makes
    // one try late makes the next gap shorter: the sum is over what an even pace would make it.
    for (const [index, gapMs] of gaps.slice(0, 5).entries()) {
      expect(gapMs, `gap ${index}`).toBeLessThan(100 * 1.92 ** index + 2_000);
    }
    expect(gaps.slice(0, 5).reduce((sum, gapMs) => sum + gapMs, 0)).toBeGreaterThan(700);
    proxy.restore();
    await ready;
  });

  it('fails the calls of a lost connection and serves the next', async () => {
    const { grpcUrl, seen } = await openServer();
    await using proxy = await openProxy(grpcUrl);
    const { storage } = open({ endpoints: proxy.address });
    const hanging = failure(storage.getObject({ objectKey: 'hang' }));
    await seen.nextHanging();
    const streaming = failure(collect(storage.streamObjects({ prefix: 'hang:1' })));
    await seen.nextHanging();
    const never = deferred<void>();
    async function* unended() {
      yield batch('a');
      await never.promise;
    }
    const ingesting = failure(collect(storage.ingestObjects(unended())));
    await until(() => seen.taken > 0, { timeoutMs: 5_000, what: 'the batch is taken' });
    proxy.refuse();
    const lost = { code: Code.Unavailable, reason: undefined };
    expect(await hanging).toMatchObject({ ...lost, retry: 'after_delay' });
    expect(await streaming).toMatchObject({ ...lost, retry: 'resume' });
    expect(await ingesting).toMatchObject({ ...lost, retry: 'same_request_id' });
    proxy.restore();
    const startedMs = performance.now();
    await storage.getObject({ objectKey: 'a' });
    expect(performance.now() - startedMs).toBeLessThan(2_000);
  });

  it('goes round several servers and past one that is gone', async () => {
    const [first, second] = [await openServer(), await openServer()];
    const { storage, ready } = open({ endpoints: [first.grpcUrl, second.grpcUrl] });
    await ready();
    const ask = async (count: number) => {
      for (let index = 0; index < count; index += 1) {
        for await (const _ of storage.streamObjects({ prefix: 'send:1' }));
      }
    };
    const both = () => first.seen.sent > 0 && second.seen.sent > 0;
    await until(() => ask(1).then(both), { timeoutMs: 5_000, what: 'both are asked' });
    await first.close();
    const before = second.seen.sent;
    await until(
      () =>
        ask(1).then(
          () => true,
          () => false,
        ),
      { timeoutMs: 5_000, what: 'one is' },
    );
    await ask(10);
    expect(second.seen.sent).toBeGreaterThanOrEqual(before + 10);
  });
});

describe('keepalive', () => {
  it('finds a server that is frozen', async () => {
    const child = start('doors-child.ts');
    const endpoints = await firstLine(child);
    const client = open({ endpoints, keepaliveIntervalMs: 200, keepaliveTimeoutMs: 2_000 });
    await client.storage.getObject({ objectKey: 'a' });
    const call = failure(client.storage.getObject({ objectKey: 'hang' }, { timeoutMs: 0 }));
    const startedMs = performance.now();
    child.kill('SIGSTOP');
    expect(await call).toMatchObject({ code: Code.Unavailable, retry: 'after_delay' });
    const tookMs = performance.now() - startedMs;
    expect(tookMs).toBeGreaterThan(1_500);
    expect(tookMs).toBeLessThan(8_000);
  });

  it('probes a busy connection by default, and leaves an idle one in silence', async () => {
    const { grpcUrl, seen } = await openServer();
    await using proxy = await openProxy(grpcUrl);
    const client = open({ endpoints: proxy.address, keepaliveIntervalMs: 20 });
    await client.storage.getObject({ objectKey: 'a' });
    await settled(() => proxy.bytes);
    const idle = proxy.bytes;
    const endMs = performance.now() + 300;
    await until(() => performance.now() > endMs, { timeoutMs: 1_000, what: 'time has passed' });
    expect(proxy.bytes).toBe(idle);
    expect(timersOf(process)).toBe(0);
    const controller = new AbortController();
    const { signal } = controller;
    const call = failure(client.storage.getObject({ objectKey: 'hang' }, { signal }));
    await seen.nextHanging();
    await settled(() => 0);
    const busy = proxy.bytes;
    await until(() => proxy.bytes > busy, { timeoutMs: 2_000, what: 'a probe passes' });
    controller.abort();
    await call;
  });
});

/** Timers that would hold the process. */
const timersOf = (who: typeof process) =>
  who.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;

async function settled(count: () => number): Promise<void> {
  let last = -1;
  const isStill = () => {
    const before = last;
    last = count();
    return before === last;
  };
  await until(isStill, { timeoutMs: 5_000, pollMs: 60, what: 'all is quiet' });
}

describe('close()', () => {
  it('ends every call with a typed error, and refuses each that comes', async () => {
    const { grpcUrl, seen } = await openServer();
    const client = open({ endpoints: grpcUrl });
    const unary = failure(client.storage.getObject({ objectKey: 'hang' }));
    await seen.nextHanging();
    const stream = failure(
      (async () => {
        for await (const _ of client.storage.streamObjects({ prefix: 'hang:1' }));
      })(),
    );
    const { signal } = await seen.nextHanging();
    client.close();
    client.close();
    const ended = { name: 'CallError', code: Code.Canceled };
    expect(await unary).toMatchObject({ ...ended, retry: 'after_delay' });
    expect(await stream).toMatchObject({ ...ended, retry: 'resume' });
    await until(() => signal.aborted, { timeoutMs: 5_000, what: 'the server is told' });
    expect(await failure(client.storage.getObject({ objectKey: 'a' }))).toMatchObject({
      name: 'CallError',
      code: Code.Canceled,
      retry: 'never',
      message: 'the client is closed',
    });
  });

  it('ends calls that wait for a connection', async () => {
    const { grpcUrl } = await openServer();
    const client = open({ endpoints: grpcUrl });
    const call = failure(client.storage.getObject({ objectKey: 'a' }));
    client.close();
    expect(await call).toMatchObject({ code: Code.Canceled });
  });

  it.each(['close', 'leave'])('lets the process exit by itself after: %s', async (ending) => {
    const { grpcUrl } = await openServer();
    const child = start('client-child.ts', grpcUrl, ending);
    expect(await firstLine(child)).toMatch(ending === 'close' ? /^CallError: the cl/ : /the end/);
    const endedMs = performance.now();
    const [code] = await once(child, 'exit');
    expect(code).toBe(0);
    expect(performance.now() - endedMs).toBeLessThan(3_000);
  });
});
