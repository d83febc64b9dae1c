// Unary calls through the client, at both doors: what is sent, what comes back, how a call ends.
import { getEventListeners } from 'node:events';
import { Code, ConnectError } from '@connectrpc/connect';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createStowage, type TransportOptions } from '../../src/client/index.js';
import { errorTable, type Reason } from '../../src/errors.js';
import { until } from '../../src/lib/wait.js';
import type { CallContext } from '../../src/services/handler.js';
import { batches, collect, doorUrls, useClientDoors } from '../support/client-doors.js';
import { type Doors, openDoors } from '../support/doors.js';
import { failure } from '../support/service.js';

const test = useClientDoors();

describe.each(doorUrls)('a call of %s', (door) => {
  const open = (options: Partial<TransportOptions> = {}) => test.open(door, options).storage;
  const lastContext = () => test.contexts.at(-1) as CallContext;

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
    const calls = test.contexts.length;
    const headers = { 'x-name': 'sécret' };
    const refused = await failure(open().getObject({ objectKey: 'a' }, { headers }));
    expect(refused).toMatchObject({
      code: Code.InvalidArgument,
      retry: 'never',
      message: 'header x-name has a character that gRPC cannot carry',
    });
    expect(test.contexts).toHaveLength(calls);
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

  it.each([Number.NaN, -1])('refuses a deadline of %d ms, without a call', async (timeoutMs) => {
    const calls = test.contexts.length;
    const refused = {
      name: 'CallError',
      code: Code.InvalidArgument,
      retry: 'never',
      message: `timeoutMs must be milliseconds, or 0 for no deadline, not ${timeoutMs}`,
    };
    const storage = open();
    const unary = storage.getObject({ objectKey: 'a' }, { timeoutMs });
    expect(await failure(unary)).toMatchObject(refused);
    const stream = storage.streamObjects({ prefix: 'send:1' }, { timeoutMs });
    expect(await failure(collect(stream))).toMatchObject(refused);
    expect(await failure(test.open(door).ready({ timeoutMs }))).toMatchObject(refused);
    await storage.getObject({ objectKey: 'a' }, { timeoutMs: 0 });
    // The server has one of its own where it is told none.
    expect(lastContext().deadlineMs - performance.now()).toBeGreaterThan(11_000);
    expect(test.contexts).toHaveLength(calls + 1);
  });

  it('ends a call at its deadline on both sides', async () => {
    const calls = test.contexts.length;
    const ended = failure(open().getObject({ objectKey: 'hang' }, { timeoutMs: 1_000 }));
    await until(() => test.contexts.length > calls, {
      timeoutMs: 5_000,
      what: 'the call is there',
    });
    expect(await ended).toMatchObject({ code: Code.DeadlineExceeded, retry: 'after_delay' });
    await test.hasLeft();
  });

  it('ends a unary call that is aborted on both sides', async () => {
    const controller = new AbortController();
    const calls = test.contexts.length;
    const call = open().getObject({ objectKey: 'hang' }, { signal: controller.signal });
    const ended = failure(call);
    await until(() => test.contexts.length > calls, {
      timeoutMs: 5_000,
      what: 'the call is there',
    });
    controller.abort();
    expect(await ended).toMatchObject({ name: 'CallError', code: Code.Canceled, retry: 'never' });
    await test.hasLeft();
  });

  it('sends nothing for a signal that was aborted before', async () => {
    const calls = test.contexts.length;
    const signal = AbortSignal.abort();
    const storage = open();
    expect(await failure(storage.getObject({ objectKey: 'a' }, { signal }))).toMatchObject({
      code: Code.Canceled,
    });
    const stream = collect(storage.streamObjects({ prefix: 'send:1' }, { signal }));
    expect(await failure(stream)).toMatchObject({ code: Code.Canceled });
    await storage.getObject({ objectKey: 'after' });
    expect(test.contexts).toHaveLength(calls + 1);
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

  it('refuses a number that its field cannot hold, without a call', async () => {
    const calls = test.contexts.length;
    const refused = await failure(open().listObjects({ pageSize: 2 ** 40 }));
    expect(refused).toMatchObject({ code: Code.InvalidArgument, retry: 'never' });
    const sending = open().ingestObjects(batches('a'), {});
    expect(await collect(sending)).toHaveLength(1);
    expect(test.contexts.length - calls).toBe(1);
  });

  it.each([
    ['object.object_key', { objectKey: 'sur/a\ud800b' }],
    ['object.metadata', { objectKey: 'a', metadata: { title: ['🎉', 'half \udc4d'] } }],
    ['object.metadata', { objectKey: 'a', metadata: { '\ud83c': 1 } }],
  ])('refuses half a surrogate pair in %s (%j)', async (field, object) => {
    const description = 'has half a surrogate pair, which UTF-8 cannot carry';
    const refused = {
      name: 'CallError',
      code: Code.InvalidArgument,
      retry: 'never',
      message: `${field}: ${description}`,
      violations: [{ field, description }],
    };
    expect(await failure(open().recordObject({ object }))).toMatchObject(refused);
    const batched = open().batchRecordObjects({
      requests: [{ object: { objectKey: 'b' } }, { object }],
    });
    expect((await failure(batched)).violations[0]?.field).toBe(`requests[1].${field}`);
  });

  it('sends no request that has half a surrogate pair', async () => {
    const calls = test.contexts.length;
    const unary = failure(open().getObject({ objectKey: 'a\ud800' }));
    expect((await unary).violations).toMatchObject([{ field: 'object_key' }]);
    const stream = failure(collect(open().streamObjects({ prefix: 'send:1\ud800' })));
    expect(await stream).toMatchObject({
      code: Code.InvalidArgument,
      retry: 'never',
      violations: [{ field: 'prefix' }],
    });
    expect(test.contexts).toHaveLength(calls);
  });

  it('bears any number of calls at once', async () => {
    const storage = open();
    const keys = Array.from({ length: 100 }, (_, index) => `k${index}`);
    const answers = await Promise.all(keys.map((objectKey) => storage.getObject({ objectKey })));
    expect(answers.map(({ object }) => object?.objectKey)).toEqual(keys);
  });
});

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
    const { retry } = errorTable[reason];
    expect(error).toMatchObject({
      name: 'CallError',
      reason,
      // A read has no request id, and nothing can have been done.
      retry: retry === 'same_request_id' ? 'after_delay' : retry,
      code: errorTable[reason].code as number,
      message: errorTable[reason].sentence,
      metadata: { object_key: objectKey },
      requestId: expect.stringMatching(/^[0-9a-f-]{36}$/),
    });
    expect(error.cause).toBeInstanceOf(ConnectError);
  });
});
