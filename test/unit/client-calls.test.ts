// Calls through the client, at both doors: what is sent, what comes back, and how a call ends.
import { randomBytes } from 'node:crypto';
import { getEventListeners } from 'node:events';
import { Code, ConnectError } from '@connectrpc/connect';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  type CallError,
  createStowage,
  type Stowage,
  StorageService,
  type TransportOptions,
} from '../../src/client/index.js';
import { errorTable, type Reason } from '../../src/errors.js';
import { deferred } from '../../src/lib/deferred.js';
import { until } from '../../src/lib/wait.js';
import type { CallContext } from '../../src/services/handler.js';
import { type Doors, openDoors, type StorageHandlers } from '../support/doors.js';
import { failure } from '../support/service.js';

const contexts: CallContext[] = [];
let ingested = 0;

/** Keys and prefixes say what to do; every call leaves its context behind. */
const handlers: StorageHandlers = {
  async getObject({ objectKey }, context) {
    contexts.push(context);
    context.responseHeaders.set('x-answer', encodeURIComponent(objectKey));
    if (objectKey === 'hang') await aborted(context);
    return { object: { objectKey } };
  },
  async *streamObjects({ prefix }, context) {
    contexts.push(context);
    const [kind, count = '0', bytes = '1'] = prefix.split(':');
    for (let index = 0; index < Number(count); index += 1) {
      sent += 1;
      // Door 2 compresses, which what is random withstands.
      const resumeToken = randomBytes(Number(bytes)).toString('base64');
      yield { resumeToken, objects: [{ objectKey: String(index) }] };
    }
    if (kind === 'hang') await aborted(context);
  },
  async *ingestObjects(requests, context) {
    contexts.push(context);
    for await (const { position } of requests) {
      if (position === 'hang') await aborted(context);
      ingested += 1;
      yield { batch: BigInt(ingested), resumePosition: position };
    }
  },
};

let sent = 0;

function aborted({ signal }: CallContext): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error));
  });
}

let doors: Doors;
const opened: Stowage[] = [];

beforeAll(async () => {
  doors = await openDoors({}, undefined, handlers);
});

afterEach(() => {
  for (const client of opened.splice(0)) client.close();
});

afterAll(() => doors.close());

const doorUrls = { 'door 1': () => doors.grpcUrl, 'door 2': () => doors.httpUrl };

async function collect<T>(messages: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const message of messages) all.push(message);
  return all;
}

/** Resolves once a count has begun to rise and no longer does. */
async function standsStill(count: () => number): Promise<void> {
  const first = count();
  let last = first;
  const isStill = () => {
    const before = last;
    last = count();
    return last === before && last > first;
  };
  await until(isStill, { timeoutMs: 10_000, pollMs: 200, what: 'the stream stands still' });
}

const batch = (position: string) => ({
  position,
  objects: [{ objectKey: 'k', storageBackend: 'local' }],
});

/** Batches from a test's hand: the stream stays open until it is told to end. */
async function* batches(...positions: string[]) {
  for (const position of positions) yield batch(position);
}

describe.each(Object.entries(doorUrls))('a client at %s', (_name, url) => {
  function openClient(options: Partial<TransportOptions> = {}) {
    const client = createStowage({ endpoints: url(), ...options });
    opened.push(client);
    return client;
  }
  const open = (options: Partial<TransportOptions> = {}) => openClient(options).storage;

  const lastContext = () => contexts.at(-1) as CallContext;
  const hasLeft = () =>
    until(() => lastContext().signal.aborted, { timeoutMs: 5_000, what: 'the server is told' });

  it('carries text of every script, both ways', async () => {
    const keys = ['Straße/ä', 'отчёт', '发票', '🗂️/👩‍👩‍👧', '\u{feff}bom'];
    for (const objectKey of keys) {
      const { object } = await open().getObject({ objectKey });
      expect(object?.objectKey).toBe(objectKey);
    }
  });

  it('carries headers both ways, and trailers', async () => {
    const received: Headers[] = [];
    const id = '0198c0de-0000-7000-8000-000000000001';
    await open().getObject(
      { objectKey: 'a' },
      {
        headers: { 'x-request-id': id, 'x-bytes-bin': 'AQID' },
        onHeader: (header) => received.push(header),
        onTrailer: (trailer) => received.push(trailer),
      },
    );
    expect(lastContext().requestId).toBe(id);
    expect(received).toHaveLength(2);
    expect(received[0]?.get('x-answer')).toBe('a');
  });

  it('refuses a header that gRPC cannot carry, without a call', async () => {
    const calls = contexts.length;
    const headers = { 'x-name': 'é' };
    const refused = await failure(open().getObject({ objectKey: 'a' }, { headers }));
    expect(refused).toMatchObject({ code: Code.InvalidArgument, retry: 'never' });
    expect(refused.message).toContain('x-name');
    expect(contexts).toHaveLength(calls);
  });

  it('runs interceptors around its own', async () => {
    const seen: unknown[] = [];
    const storage = open({
      interceptors: [
        (next) => async (request) => {
          seen.push(request.method.name);
          request.header.set('x-request-id', '0198c0de-0000-7000-8000-00000000000a');
          const response = await next(request);
          seen.push(response.header.get('x-answer'));
          return response;
        },
      ],
    });
    await storage.getObject({ objectKey: 'around' });
    expect(seen).toEqual(['GetObject', 'around']);
    expect(lastContext().requestId).toBe('0198c0de-0000-7000-8000-00000000000a');
  });

  it('gives a unary call ten seconds, or what it asks for', async () => {
    await open().getObject({ objectKey: 'a' });
    const standardMs = lastContext().deadlineMs - performance.now();
    expect(standardMs).toBeGreaterThan(8_000);
    expect(standardMs).toBeLessThanOrEqual(11_000);
    await open({ timeoutMs: 3_000 }).getObject({ objectKey: 'a' });
    expect(lastContext().deadlineMs - performance.now()).toBeLessThan(4_000);
    await open().getObject({ objectKey: 'a' }, { timeoutMs: 2_000 });
    expect(lastContext().deadlineMs - performance.now()).toBeLessThan(3_000);
  });

  it('gives a stream no deadline but its own', async () => {
    const storage = open({ timeoutMs: 50 });
    await collect(storage.streamObjects({ prefix: 'send:1' }));
    expect(lastContext().deadlineMs).toBe(Number.POSITIVE_INFINITY);
    const ended = failure(collect(storage.streamObjects({ prefix: 'hang:1' }, { timeoutMs: 60 })));
    expect(await ended).toMatchObject({ code: Code.DeadlineExceeded, retry: 'same_request_id' });
  });

  it('ends a call at its deadline on both sides', async () => {
    const ended = await failure(open().getObject({ objectKey: 'hang' }, { timeoutMs: 50 }));
    expect(ended).toMatchObject({ code: Code.DeadlineExceeded, retry: 'same_request_id' });
    await hasLeft();
  });

  it('ends a unary call that is aborted on both sides', async () => {
    const controller = new AbortController();
    const calls = contexts.length;
    const call = open().getObject({ objectKey: 'hang' }, { signal: controller.signal });
    const ended = failure(call);
    await until(() => contexts.length > calls, { timeoutMs: 5_000, what: 'the call is there' });
    controller.abort();
    expect(await ended).toMatchObject({ name: 'CallError', code: Code.Canceled });
    await hasLeft();
  });

  it('sends nothing for a signal that was aborted before', async () => {
    const calls = contexts.length;
    const signal = AbortSignal.abort();
    const storage = open();
    expect(await failure(storage.getObject({ objectKey: 'a' }, { signal }))).toMatchObject({
      code: Code.Canceled,
    });
    const stream = collect(storage.streamObjects({ prefix: 'send:1' }, { signal }));
    expect(await failure(stream)).toMatchObject({ code: Code.Canceled });
    await storage.getObject({ objectKey: 'after' });
    expect(contexts).toHaveLength(calls + 1);
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
    expect(await ended).toMatchObject({ code: Code.Canceled });
    await hasLeft();
  });

  it('leaves nothing behind on a signal that outlives its calls', async () => {
    const { signal } = new AbortController();
    const storage = open();
    await storage.getObject({ objectKey: 'a' }, { signal });
    await collect(storage.streamObjects({ prefix: 'send:2' }, { signal }));
    for await (const _ of storage.streamObjects({ prefix: 'hang:1' }, { signal })) break;
    await failure(storage.listObjects({}, { signal }));
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  });

  it('ends a stream that is left early on both sides', async () => {
    const storage = open();
    for await (const message of storage.streamObjects({ prefix: 'hang:1' })) {
      expect(message.objects[0]?.objectKey).toBe('0');
      break;
    }
    await hasLeft();
    for await (const answer of storage.ingestObjects(batches('a', 'hang'))) {
      expect(answer.resumePosition).toBe('a');
      break;
    }
    await hasLeft();
  });

  it('holds a stream back that is not read, and nothing else', async () => {
    const storage = open();
    const before = sent;
    const stream = storage.streamObjects({ prefix: 'send:400:100000' })[Symbol.asyncIterator]();
    await stream.next();
    await standsStill(() => sent);
    await storage.getObject({ objectKey: 'beside' });
    // Forty megabytes are asked for: what is not read stays with the server.
    expect(sent - before).toBeLessThan(60);
    let rest = 1;
    for (let next = await stream.next(); next.done !== true; next = await stream.next()) rest += 1;
    expect(rest).toBe(400);
  });

  it('holds a stream back of which not even the first message is asked for', async () => {
    const { transport } = openClient();
    const before = sent;
    const input = (async function* () {
      yield { prefix: 'send:400:100000' };
    })();
    const { signal } = new AbortController();
    const method = StorageService.method.streamObjects;
    await transport.stream(method, signal, undefined, undefined, input);
    await standsStill(() => sent);
    expect(sent - before).toBeLessThan(60);
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
    await standsStill(() => made);
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
    const isOver = () => doors.pipeline.inFlight === 0;
    await until(isOver, { timeoutMs: 5_000, what: 'the server has no call left' });
  });

  it('refuses a number that its field cannot hold, without a call', async () => {
    const calls = contexts.length;
    const refused = await failure(open().listObjects({ pageSize: 2 ** 40 }));
    expect(refused).toMatchObject({ code: Code.InvalidArgument, retry: 'never' });
    const sending = open().ingestObjects(batches('a'), {});
    expect(await collect(sending)).toHaveLength(1);
    expect(contexts.length - calls).toBe(1);
  });

  it('ends a stream that owes a message for too long', async () => {
    const storage = open({ streamIdleTimeoutMs: 80 });
    const got: unknown[] = [];
    const ended: CallError = await failure(
      (async () => {
        for await (const message of storage.streamObjects({ prefix: 'hang:2' })) got.push(message);
      })(),
    );
    expect(got).toHaveLength(2);
    expect(ended).toMatchObject({ code: Code.Unavailable, reason: undefined, retry: 'resume' });
    expect(ended.message).toContain('80 ms');
    await hasLeft();
  });

  it('ends an ingest whose batch is not answered for too long', async () => {
    const storage = open({ streamIdleTimeoutMs: 80 });
    const ended = failure(collect(storage.ingestObjects(batches('a', 'hang'))));
    expect(await ended).toMatchObject({ retry: 'same_request_id', code: Code.Unavailable });
  });

  it('takes neither a slow reader nor a sender without work for a dead server', async () => {
    const storage = open({ streamIdleTimeoutMs: 500 });
    const pause = () => until(later(700), { timeoutMs: 5_000, what: 'time has passed' });
    let read = 0;
    for await (const _ of storage.streamObjects({ prefix: 'send:3' })) {
      await pause();
      read += 1;
    }
    expect(read).toBe(3);
    async function* slowly() {
      yield batch('a');
      await pause();
      yield batch('b');
    }
    expect(await collect(storage.ingestObjects(slowly()))).toHaveLength(2);
  });

  it('bears any number of calls at once', async () => {
    const storage = open();
    const keys = Array.from({ length: 300 }, (_, index) => `k${index}`);
    const answers = await Promise.all(keys.map((objectKey) => storage.getObject({ objectKey })));
    expect(answers.map(({ object }) => object?.objectKey)).toEqual(keys);
  });
});

const later = (ms: number) => {
  const endMs = performance.now() + ms;
  return () => performance.now() >= endMs;
};

describe('an error', () => {
  let plain: Doors;

  beforeAll(async () => {
    plain = await openDoors();
  });

  afterAll(() => plain.close());

  const cases = (Object.keys(errorTable) as Reason[]).flatMap((reason) =>
    (['grpcUrl', 'httpUrl'] as const).map((door) => ({ reason, door })),
  );

  it.each(cases)('is a CallError for $reason at $door', async ({ reason, door }) => {
    await using client = createStowage({ endpoints: plain[door] });
    const objectKey = `reason/${reason}`;
    const error = await failure(client.storage.getObject({ objectKey }));
    expect(error).toMatchObject({
      name: 'CallError',
      reason,
      retry: errorTable[reason].retry,
      code: errorTable[reason].code as number,
      message: errorTable[reason].sentence,
      metadata: { object_key: objectKey },
      requestId: expect.stringMatching(/^[0-9a-f-]{36}$/),
    });
    expect(error.cause).toBeInstanceOf(ConnectError);
  });
});
