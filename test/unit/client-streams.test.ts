// Streams through the client, at both doors: held back, left early, silent, ended on both sides.
import { Code, type ConnectError } from '@connectrpc/connect';
import { describe, expect, it } from 'vitest';
import { type CallError, StorageService, type TransportOptions } from '../../src/client/index.js';
import { deferred } from '../../src/lib/deferred.js';
import { until } from '../../src/lib/wait.js';
import type { CallContext } from '../../src/services/handler.js';
import { batch, batches, collect, doorUrls, useClientDoors } from '../support/client-doors.js';
import { failure } from '../support/service.js';

const test = useClientDoors();

/** Resolves once a count has risen above `from` and no longer rises. */
async function standsStill(count: () => number, from: number): Promise<void> {
  let last = from;
  const isStill = () => {
    const before = last;
    last = count();
    return last === before && last > from;
  };
  await until(isStill, { timeoutMs: 10_000, pollMs: 200, what: 'the stream stands still' });
}

/** True once this many milliseconds have passed. */
const later = (ms: number) => {
  const endMs = performance.now() + ms;
  return () => performance.now() >= endMs;
};

describe.each(doorUrls)('a stream of %s', (door) => {
  const open = (options: Partial<TransportOptions> = {}) => test.open(door, options).storage;
  const lastContext = () => test.contexts.at(-1) as CallContext;

  it('gives a stream no deadline but its own', async () => {
    const storage = open({ timeoutMs: 50 });
    await collect(storage.streamObjects({ prefix: 'send:1' }));
    expect(lastContext().deadlineMs).toBe(Number.POSITIVE_INFINITY);
    const ended = failure(collect(storage.streamObjects({ prefix: 'hang:1' }, { timeoutMs: 60 })));
    expect(await ended).toMatchObject({ code: Code.DeadlineExceeded, retry: 'resume' });
  });

  it('ends a stream that is aborted on both sides', async () => {
    const controller = new AbortController();
    const { signal } = controller;
    const stream = open().streamObjects({ prefix: 'hang:1' }, { signal });
    const ended = failure(
      (async () => {
        for await (const _ of stream) controller.abort();
      })(),
    );
    expect(await ended).toMatchObject({ code: Code.Canceled, retry: 'never' });
    await test.hasLeft();
  });

  it('begins when it is first asked for a message', async () => {
    const calls = test.contexts.length;
    const storage = open();
    // Neither is anybody's failure: nobody asks for what comes of it.
    storage.streamObjects({ prefix: 'send:1' }, { signal: AbortSignal.abort() });
    storage.streamObjects({ prefix: 'send:1' }, { headers: { 'no name': '' } });
    const stream = storage.streamObjects({ prefix: 'send:1' });
    await test.open(door).ready();
    expect(test.contexts).toHaveLength(calls);
    expect(await collect(stream)).toHaveLength(1);
    const left = storage.streamObjects({ prefix: 'send:1' })[Symbol.asyncIterator]();
    expect(await left.return?.()).toMatchObject({ done: true });
    expect(await left.next()).toMatchObject({ done: true });
    expect(test.contexts).toHaveLength(calls + 1);
    const headers = { 'no name': '' };
    expect(await failure(collect(storage.streamObjects({}, { headers })))).toMatchObject({
      name: 'CallError',
      retry: 'never',
    });
  });

  it('ends a stream that is left early on both sides', async () => {
    const storage = open();
    for await (const message of storage.streamObjects({ prefix: 'hang:1' })) {
      expect(message.objects[0]?.objectKey).toBe('0');
      break;
    }
    await test.hasLeft();
    for await (const answer of storage.ingestObjects(batches('a', 'hang'))) {
      expect(answer.resumePosition).toBe('a');
      break;
    }
    await test.hasLeft();
  });

  it('holds a stream back that is not read, and nothing else', async () => {
    const storage = open();
    const before = test.sent;
    const stream = storage.streamObjects({ prefix: 'send:150:100000' })[Symbol.asyncIterator]();
    await stream.next();
    await standsStill(() => test.sent, before);
    await storage.getObject({ objectKey: 'beside' });
    // Twenty megabytes are asked for: what is not read stays with the server.
    expect(test.sent - before).toBeLessThan(60);
    let rest = 1;
    for (let next = await stream.next(); next.done !== true; next = await stream.next()) rest += 1;
    expect(rest).toBe(150);
  });

  it('holds a stream back of which not even the first message is asked for', async () => {
    const { transport } = test.open(door);
    const before = test.sent;
    const input = (async function* () {
      yield { prefix: 'send:150:100000' };
    })();
    const { signal } = new AbortController();
    const method = StorageService.method.streamObjects;
    await transport.stream(method, signal, undefined, undefined, input);
    await standsStill(() => test.sent, before);
    expect(test.sent - before).toBeLessThan(60);
  });

  it('holds a sender back whose batches are not taken', async () => {
    let made = 0;
    const position = 'p'.repeat(2_000);
    const objects = [{ objectKey: 'k'.repeat(1_000), storageBackend: 'local' }];
    async function* many() {
      yield batch('hang');
      for (; made < 5_000; made += 1) yield { position, objects };
    }
    const controller = new AbortController();
    const { signal } = controller;
    const ended = failure(collect(open().ingestObjects(many(), { signal })));
    await standsStill(() => made, 0);
    // Fifteen megabytes are to be sent; the transport takes a few.
    expect(made).toBeLessThan(2_000);
    controller.abort();
    expect(await ended).toMatchObject({ code: Code.Canceled });
  });

  it('answers each batch, and ends when the sender ends', async () => {
    const answers = await collect(open().ingestObjects(batches('a', 'b', 'c')));
    expect(answers.map(({ resumePosition }) => resumePosition)).toEqual(['a', 'b', 'c']);
  });

  it('ends an ingest whose source fails with the failure of the source', async () => {
    const answered = deferred<void>();
    async function* broken() {
      yield batch('a');
      await answered.promise;
      throw new TypeError('the disk is gone');
    }
    const ended = await failure(
      (async () => {
        for await (const _ of open().ingestObjects(broken())) answered.resolve();
      })(),
    );
    expect(ended).toMatchObject({ message: 'the disk is gone', retry: 'never' });
    expect((ended.cause as ConnectError).cause).toBeInstanceOf(TypeError);
    const isOver = () => test.doors.pipeline.inFlight === 0;
    await until(isOver, { timeoutMs: 5_000, what: 'the server has no call left' });
  });
});

// The client alone counts this time, whatever the door.
describe('a stream that is silent', () => {
  const open = (streamIdleTimeoutMs: number) =>
    test.open('grpcUrl', { streamIdleTimeoutMs }).storage;

  it('ends where it owes a message for too long', async () => {
    const got: unknown[] = [];
    const ended: CallError = await failure(
      (async () => {
        for await (const message of open(1_000).streamObjects({ prefix: 'hang:2' })) {
          got.push(message);
        }
      })(),
    );
    expect(got).toHaveLength(2);
    expect(ended).toMatchObject({ code: Code.Unavailable, reason: undefined, retry: 'resume' });
    expect(ended.message).toContain('1000 ms');
    await test.hasLeft();
  });

  it('ends where a batch is not answered for too long', async () => {
    const ended = failure(collect(open(1_000).ingestObjects(batches('a', 'hang'))));
    expect(await ended).toMatchObject({ retry: 'same_request_id', code: Code.Unavailable });
  });

  it('ends where a batch is not taken for too long', async () => {
    const answered = deferred<void>();
    const objects = Array.from({ length: 3_000 }, (_, index) => ({
      objectKey: `${index}-${'k'.repeat(1_000)}`,
      storageBackend: 'local',
    }));
    async function* afterAnswer() {
      yield batch('stall');
      await answered.promise;
      yield { ...batch('never'), objects };
    }
    const ended = failure(
      (async () => {
        for await (const _ of open(1_000).ingestObjects(afterAnswer())) answered.resolve();
      })(),
    );
    await answered.promise;
    expect(await ended).toMatchObject({ retry: 'same_request_id', code: Code.Unavailable });
  });

  it('is neither a slow reader nor a sender without work', async () => {
    const storage = open(1_000);
    const pause = () => until(later(1_300), { timeoutMs: 5_000, what: 'time has passed' });
    async function readSlowly(): Promise<number> {
      let read = 0;
      for await (const _ of storage.streamObjects({ prefix: 'send:2' })) {
        if (read === 0) await pause();
        read += 1;
      }
      return read;
    }
    async function* slowly() {
      yield batch('a');
      await pause();
      yield batch('b');
    }
    const answered = collect(storage.ingestObjects(slowly()));
    const [read, answers] = await Promise.all([readSlowly(), answered]);
    expect(read).toBe(2);
    expect(answers).toHaveLength(2);
  });
});
