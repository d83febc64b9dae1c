// Deadlines as they stand in headers: those that no timer can wait for, those that have passed, and
// those that are none. Written by hand, for client libraries shorten them by themselves.
import http2 from 'node:http2';
import { create, toBinary } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { StreamObjectsRequestSchema } from '../../gen/stowage/v1/storage_list_pb.js';
import { GetObjectRequestSchema } from '../../gen/stowage/v1/storage_read_pb.js';
import { shortenTimeouts } from '../../src/server/timeouts.js';
import { type Doors, openDoors } from '../support/doors.js';

const service = '/stowage.v1.StorageService/';

let doors: Doors;

beforeAll(async () => {
  doors = await openDoors({ unaryTimeoutMaxMs: 250 });
});

afterAll(async () => {
  await doors.close();
});

function framed(bytes: Uint8Array): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
}

const getObject = (objectKey: string) =>
  framed(toBinary(GetObjectRequestSchema, create(GetObjectRequestSchema, { objectKey })));

/** The status of a gRPC call. */
async function grpcStatus(
  url: string,
  timeout: string,
  method: string,
  body: Buffer,
): Promise<number> {
  const session = http2.connect(url);
  const stream = session.request({
    ':method': 'POST',
    ':path': service + method,
    'content-type': 'application/grpc+proto',
    'grpc-timeout': timeout,
    te: 'trailers',
  });
  stream.end(body);
  const status = await new Promise<number>((resolve, reject) => {
    const take = (headers: http2.IncomingHttpHeaders) => {
      if (headers['grpc-status'] !== undefined) resolve(Number(headers['grpc-status']));
    };
    stream.once('error', reject).once('response', take).once('trailers', take).resume();
  });
  session.destroy();
  return status;
}

async function connectCode(timeout: string, objectKey: string): Promise<unknown> {
  const answer = await fetch(`${doors.httpUrl}${service}GetObject`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'connect-timeout-ms': timeout },
    body: JSON.stringify({ objectKey }),
  });
  const { code } = (await answer.json()) as { code?: string };
  return code;
}

describe.each(['grpcUrl', 'httpUrl'] as const)('a gRPC deadline at %s', (url) => {
  it.each(['99999999H', '2592000S', '2147484S', '99999999M'])('may be %s', async (timeout) => {
    expect(await grpcStatus(doors[url], timeout, 'GetObject', getObject('a'))).toBe(0);
    const request = create(StreamObjectsRequestSchema, { prefix: 'send:3' });
    const body = framed(toBinary(StreamObjectsRequestSchema, request));
    expect(await grpcStatus(doors[url], timeout, 'StreamObjects', body)).toBe(0);
  });

  it('is shortened to the longest that is allowed', async () => {
    const status = grpcStatus(doors[url], '99999999H', 'GetObject', getObject('hang'));
    const context = await doors.seen.nextHanging();
    const leftMs = context.deadlineMs - performance.now();
    expect(leftMs).toBeGreaterThan(0);
    expect(leftMs).toBeLessThanOrEqual(250);
    expect(await status).toBe(4);
  });

  it('may have passed already', async () => {
    expect(await grpcStatus(doors[url], '0m', 'GetObject', getObject('a'))).toBe(4);
  });

  it.each(['', 'soon', '-1S', '1'])('that reads "%s" harms no other call', async (timeout) => {
    await grpcStatus(doors[url], timeout, 'GetObject', getObject('a'));
    expect(await grpcStatus(doors[url], '1S', 'GetObject', getObject('a'))).toBe(0);
    expect(doors.pipeline.inFlight).toBe(0);
  });
});

describe('a Connect deadline', () => {
  it.each(['2147483648', '9999999999'])('may be %s ms', async (timeout) => {
    expect(await connectCode(timeout, 'a')).toBeUndefined();
  });

  it.each(['0', '1'])('of %s ms is exceeded', async (timeout) => {
    const code = connectCode(timeout, 'hang');
    expect(await code).toBe('deadline_exceeded');
  });

  it.each(['', 'soon', '-1', '99999999999'])('that reads "%s" is refused', async (timeout) => {
    expect(await connectCode(timeout, 'a')).toBe('invalid_argument');
  });
});

describe('shortenTimeouts', () => {
  it.each([
    ['1S', '1S'],
    ['2147483S', '2147483S'],
    ['2147484S', '2147483S'],
    ['99999999H', '2147483S'],
    ['99999999u', '99999999u'],
    ['soon', 'soon'],
  ])('makes of %s for gRPC %s', (given, made) => {
    const headers = { 'grpc-timeout': given };
    shortenTimeouts(headers);
    expect(headers).toEqual({ 'grpc-timeout': made });
  });

  it('adds no header', () => {
    const headers = {};
    shortenTimeouts(headers);
    expect(headers).toEqual({});
  });
});
