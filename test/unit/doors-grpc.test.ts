// What door 1 promises beyond what every protocol does: bytes that no client library would send,
// and bounds in both directions. Asked with grpc-js itself, as other services do.
import http2 from 'node:http2';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import {
  Client,
  type ClientDuplexStream,
  type ClientReadableStream,
  credentials,
  type Metadata,
  type ServiceError,
} from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ErrorInfoSchema } from '../../gen/google/rpc/error_details_pb.js';
import { StatusSchema } from '../../gen/google/rpc/status_pb.js';
import { StreamObjectsRequestSchema } from '../../gen/stowage/v1/storage_list_pb.js';
import { GetObjectRequestSchema } from '../../gen/stowage/v1/storage_read_pb.js';
import { IngestObjectsRequestSchema } from '../../gen/stowage/v1/storage_record_pb.js';
import { until } from '../../src/lib/wait.js';
import { type Doors, openDoors } from '../support/doors.js';

const service = '/stowage.v1.StorageService/';
const same = (bytes: Buffer) => bytes;

let doors: Doors;
let client: Client;

beforeAll(async () => {
  doors = await openDoors();
  client = new Client(`127.0.0.1:${doors.grpc.address.port}`, credentials.createInsecure(), {
    'grpc.max_send_message_length': -1,
  });
});

afterAll(async () => {
  client.close();
  await doors.close();
});

const getObject = (key: string) =>
  Buffer.from(toBinary(GetObjectRequestSchema, create(GetObjectRequestSchema, { objectKey: key })));

function call(bytes: Buffer, method = 'GetObject'): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(service + method, same, same, bytes, (error, answer) => {
      if (error === null && answer !== undefined) resolve(answer);
      else reject(error);
    });
  });
}

async function failureOf(work: Promise<unknown>): Promise<ServiceError> {
  const thrown = await work.then(
    () => new Error('it succeeded'),
    (error: unknown) => error,
  );
  return thrown as ServiceError;
}

function reasonIn(metadata: Metadata): string | undefined {
  const [bytes] = metadata.get('grpc-status-details-bin');
  const any = bytes && fromBinary(StatusSchema, Buffer.from(bytes)).details[0];
  return any ? fromBinary(ErrorInfoSchema, any.value).reason : undefined;
}

/** As a caller that leaves its deadline to the server. */
function trailersOf(bytes: Buffer, timeout: string): Promise<http2.IncomingHttpHeaders> {
  const session = http2.connect(doors.grpcUrl);
  const stream = session.request({
    ':method': 'POST',
    ':path': `${service}GetObject`,
    'content-type': 'application/grpc+proto',
    'grpc-timeout': timeout,
    te: 'trailers',
  });
  const head = Buffer.alloc(5);
  head.writeUInt32BE(bytes.length, 1);
  stream.end(Buffer.concat([head, bytes]));
  return new Promise((resolve, reject) => {
    stream.once('error', reject);
    const end = (headers: http2.IncomingHttpHeaders) => {
      if (headers['grpc-status'] === undefined) return;
      resolve(headers);
      session.destroy();
    };
    stream.once('response', end).once('trailers', end).resume();
  });
}

describe('door 1', () => {
  it('ends a call at its deadline with details', async () => {
    const trailers = await trailersOf(getObject('hang'), '100m');
    expect(trailers).toMatchObject({ 'grpc-status': '4', 'x-request-id': expect.any(String) });
    expect(trailers['grpc-status-details-bin']).toBeDefined();
  });

  it.each(['GetNothing', '../stowage.v9.NoService/Get'])(
    'has a typed answer to the unknown method %s',
    async (method) => {
      const error = await failureOf(call(getObject('a'), method));
      expect(error).toMatchObject({ code: 12, details: expect.stringContaining('no method') });
      expect(reasonIn(error.metadata)).toBe('UNIMPLEMENTED');
      expect(error.metadata.get('x-request-id')).toHaveLength(1);
      expect(doors.pipeline.inFlight).toBe(0);
    },
  );

  it.each([
    ['bytes that end too early', () => getObject('abc').subarray(0, 3)],
    [
      'text that is not UTF-8',
      () => {
        const bytes = getObject('abc');
        bytes[bytes.length - 1] = 0xff;
        return bytes;
      },
    ],
    ['a key with NUL', () => getObject('a\0b')],
  ])('refuses %s with a typed error and stays up', async (_, bytes) => {
    const error = await failureOf(call(bytes()));
    expect(error.code).toBe(3);
    expect(reasonIn(error.metadata)).toBe('INVALID_REQUEST');
    expect(error.metadata.get('x-request-id')[0]).toMatch(/^[0-9a-f-]{36}$/);
    await call(getObject('a'));
  });

  it('refuses a message over 4 MiB with details and far beyond without, and stays up', async () => {
    const somewhat = await failureOf(call(Buffer.alloc(5 * 1024 * 1024)));
    expect(somewhat.code).toBe(8);
    expect(reasonIn(somewhat.metadata)).toBe('MESSAGE_TOO_LARGE');
    const far = await failureOf(call(Buffer.alloc(9 * 1024 * 1024)));
    expect(far.code).toBe(8);
    await call(getObject('a'));
  });

  it('sends errors that fit into the trailers of any client', async () => {
    const error = await failureOf(call(getObject('k'.repeat(100_000))));
    expect(reasonIn(error.metadata)).toBe('INVALID_REQUEST');
    const [details = ''] = error.metadata.get('grpc-status-details-bin');
    expect(details.length + error.details.length).toBeLessThan(6000);
  });

  it('asks a handler for no more than a slow reader takes', async () => {
    const request = create(StreamObjectsRequestSchema, { prefix: 'send:10000:100000' });
    const before = doors.seen.sent;
    const left = doors.seen.left;
    const stream: ClientReadableStream<Buffer> = client.makeServerStreamRequest(
      `${service}StreamObjects`,
      same,
      same,
      Buffer.from(toBinary(StreamObjectsRequestSchema, request)),
    );
    stream.on('error', () => undefined);
    // Taken one by one: what is in between is the transports' windows and the writer's bound.
    await new Promise((resolve) => stream.once('readable', resolve));
    let last = -1;
    await until(
      () => {
        const isStill = doors.seen.sent === last;
        last = doors.seen.sent;
        return isStill;
      },
      { timeoutMs: 5000, pollMs: 200, what: 'the handler is asked for nothing more' },
    );
    expect(doors.seen.sent - before).toBeLessThan(100);
    stream.cancel();
    await until(() => doors.seen.left > left, { timeoutMs: 5000, what: 'the stream is left' });
  });

  it('takes no more from a fast sender than its handler reads', async () => {
    const left = doors.seen.left;
    const before = doors.seen.taken;
    const stream: ClientDuplexStream<Buffer, Buffer> = client.makeBidiStreamRequest(
      `${service}IngestObjects`,
      same,
      same,
    );
    stream.on('error', () => undefined);
    const batch = create(IngestObjectsRequestSchema, {
      objects: Array.from({ length: 1000 }, (_, index) => ({
        objectKey: `${index}-${'k'.repeat(900)}`,
        storageBackend: 's3',
      })),
    });
    const bytes = Buffer.from(toBinary(IngestObjectsRequestSchema, batch));
    let acknowledged = 0;
    stream.on('data', () => {
      acknowledged += 1;
    });
    for (let index = 0; index < 20; index += 1) stream.write(bytes);
    stream.end();
    await until(() => acknowledged === 20, { timeoutMs: 10_000, what: 'all is acknowledged' });
    expect(doors.seen.taken - before).toBe(20);
    await until(() => doors.seen.left > left, { timeoutMs: 5000, what: 'the stream is left' });
  });
});
