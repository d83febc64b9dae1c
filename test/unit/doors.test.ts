// What both doors promise alike, asked in every protocol.
import { Code, ConnectError, createClient } from '@connectrpc/connect';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  BadRequestSchema,
  ErrorInfoSchema,
  PreconditionFailureSchema,
  RetryInfoSchema,
} from '../../gen/google/rpc/error_details_pb.js';
import { StorageService } from '../../gen/stowage/v1/storage_service_pb.js';
import { errorTable, type Reason } from '../../src/errors.js';
import { until } from '../../src/lib/wait.js';
import { type Doors, openDoors, ways } from '../support/doors.js';

let doors: Doors;

beforeAll(async () => {
  doors = await openDoors();
});

afterAll(async () => {
  await doors.close();
});

async function failureOf(work: Promise<unknown>): Promise<ConnectError> {
  const error = await work.then(
    () => new Error('it succeeded'),
    (thrown: unknown) => thrown,
  );
  if (error instanceof ConnectError) {
    return error;
  }
  throw error;
}

async function collect<T>(messages: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const message of messages) {
    all.push(message);
  }
  return all;
}

const infoOf = (error: ConnectError) => error.findDetails(ErrorInfoSchema)[0];

describe.each(ways)('$name', (way) => {
  let transport: ReturnType<typeof way.open>['transport'];
  let disconnect: () => void;
  const client = () => createClient(StorageService, transport);

  beforeAll(() => {
    ({ transport, close: disconnect } = way.open(doors));
  });

  afterAll(() => disconnect());

  it('answers a unary call with its metadata', async () => {
    const id = '0198c0de-0000-7000-8000-000000000001';
    const headers = new Headers();
    const answer = await client().getObject(
      { objectKey: 'a/b' },
      {
        headers: { 'x-request-id': id },
        onHeader: (received) => {
          for (const [name, value] of received) headers.set(name, value);
        },
      },
    );
    expect(answer.object).toMatchObject({ objectKey: 'a/b', owner: 'anonymous', size: 5n });
    expect(headers.get('stowage-token')).toBe('a-token');
    expect(headers.get('x-request-id')).toBe(id);
  });

  it('streams messages and encoded messages alike', async () => {
    const messages = await collect(client().streamObjects({ prefix: 'send:5' }));
    expect(messages.flatMap(({ objects }) => objects.map((each) => each.objectKey))).toEqual([
      '0',
      '1',
      '2',
      '3',
      '4',
    ]);
  });

  it.each(Object.keys(errorTable) as Reason[])(
    'gives %s its code and its facts',
    async (reason) => {
      const error = await failureOf(client().getObject({ objectKey: `reason/${reason}` }));
      expect(error.code).toBe(errorTable[reason].code);
      expect(error.rawMessage).toBe(errorTable[reason].sentence);
      expect(infoOf(error)).toMatchObject({
        reason,
        domain: 'stowage.dev',
        metadata: {
          object_key: `reason/${reason}`,
          request_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
        },
      });
      const isDelayed = errorTable[reason].retry === 'after_delay';
      expect(error.findDetails(RetryInfoSchema)).toHaveLength(isDelayed ? 1 : 0);
      const isPrecondition = reason === 'ETAG_MISMATCH' || reason === 'REVISION_MISMATCH';
      expect(error.findDetails(PreconditionFailureSchema)).toHaveLength(isPrecondition ? 1 : 0);
    },
  );

  it('says nothing of what lies behind a defect', async () => {
    const error = await failureOf(client().getObject({ objectKey: 'defect' }));
    expect(error.code).toBe(Code.Internal);
    expect(infoOf(error)?.reason).toBe('INTERNAL');
    expect(JSON.stringify(error) + error.message).not.toContain('storage_objects');
  });

  it('ends a stream that fails with a typed error behind its messages', async () => {
    let messages = 0;
    const error = await failureOf(
      (async () => {
        for await (const _ of client().streamObjects({ prefix: 'fail:3' })) messages += 1;
      })(),
    );
    expect(messages).toBe(3);
    expect(infoOf(error)?.reason).toBe('NO_NODE');
    expect(error.findDetails(RetryInfoSchema)[0]?.retryDelay).toMatchObject({ nanos: 250_000_000 });
  });

  it('names every field that breaks a rule', async () => {
    const error = await failureOf(
      client().batchRecordObjects({
        project: '-',
        requests: [
          { object: { objectKey: 'a', storageBackend: 's3', metadata: { deep: { n: 2 ** 53 } } } },
          { object: { objectKey: 'k'.repeat(1025), size: -1n, storageBackend: 'nul\0' } },
        ],
      }),
    );
    expect(error.code).toBe(Code.InvalidArgument);
    expect(infoOf(error)?.reason).toBe('INVALID_REQUEST');
    const fields = error.findDetails(BadRequestSchema)[0]?.fieldViolations.map((v) => v.field);
    if (way.name.includes('JSON')) {
      expect(fields).toEqual(['requests[0].object.metadata.deep.n']);
    } else {
      expect(fields?.sort()).toEqual([
        'project',
        'requests[0].object.metadata.deep.n',
        'requests[1].object.object_key',
        'requests[1].object.size',
        'requests[1].object.storage_backend',
      ]);
    }
  });

  it('refuses a message of 5 MiB and serves the next call on the same connection', async () => {
    const metadata = { text: 'x'.repeat(5 * 1024 * 1024) };
    const object = { objectKey: 'a', storageBackend: 's3', metadata };
    const error = await failureOf(client().recordObject({ object }));
    expect(error.code).toBe(Code.ResourceExhausted);
    expect(infoOf(error)?.reason).toBe('MESSAGE_TOO_LARGE');
    await client().getObject({ objectKey: 'after' });
  });

  it('aborts the handler with CANCELLED when the caller leaves', async () => {
    const controller = new AbortController();
    const call = failureOf(
      client().getObject({ objectKey: 'hang' }, { signal: controller.signal }),
    );
    const context = await doors.seen.nextHanging();
    controller.abort();
    expect((await call).code).toBe(Code.Canceled);
    await new Promise((resolve) => {
      if (context.signal.aborted) resolve(undefined);
      context.signal.addEventListener('abort', resolve);
    });
    expect(context.signal.reason).toMatchObject({ reason: 'CANCELLED' });
  });

  it('aborts the handler with DEADLINE_EXCEEDED when the time is up', async () => {
    const call = failureOf(client().getObject({ objectKey: 'hang' }, { timeoutMs: 60 }));
    const context = await doors.seen.nextHanging();
    expect(context.deadlineMs - performance.now()).toBeLessThan(61);
    expect((await call).code).toBe(Code.DeadlineExceeded);
    await new Promise((resolve) => {
      if (context.signal.aborted) resolve(undefined);
      context.signal.addEventListener('abort', resolve);
    });
    // The caller hangs up at the same moment, and may be the first to be heard.
    expect(context.signal.reason.reason).toMatch(/^(?:DEADLINE_EXCEEDED|CANCELLED)$/);
  });

  it('runs the stream handler’s finally when the caller leaves', async () => {
    const before = doors.seen.left;
    const controller = new AbortController();
    for await (const _ of client().streamObjects(
      { prefix: 'send:1000000:1000' },
      { signal: controller.signal },
    )) {
      controller.abort();
      break;
    }
    await until(() => doors.seen.left > before && doors.pipeline.inFlight === 0, {
      timeoutMs: 5000,
      what: 'the stream is left',
    });
  });

  it.runIf(way.isHttp2)('serves a bidi stream message by message', async () => {
    const sent = ['p1', 'p2', 'p3'];
    async function* batches() {
      for (const position of sent) {
        yield { position, objects: [{ objectKey: 'k', storageBackend: 's3' }] };
      }
    }
    const acks = await collect(client().ingestObjects(batches()));
    expect(acks.map((ack) => ack.resumePosition)).toEqual(sent);
  });

  it.runIf(way.isHttp2)('checks every message of a bidi stream', async () => {
    async function* batches() {
      yield { position: 'good', objects: [{ objectKey: 'k', storageBackend: 's3' }] };
      yield { position: 'bad', objects: [{ objectKey: '', storageBackend: 's3' }] };
    }
    const acks: string[] = [];
    const error = await failureOf(
      (async () => {
        for await (const ack of client().ingestObjects(batches())) acks.push(ack.resumePosition);
      })(),
    );
    expect(acks).toEqual(['good']);
    expect(error.findDetails(BadRequestSchema)[0]?.fieldViolations).toMatchObject([
      { field: 'objects[0].object_key' },
    ]);
  });
});
