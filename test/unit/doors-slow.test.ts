// A caller that opens a stream and does not read it: told so, and cleaned up behind, at both doors.
import http2 from 'node:http2';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ErrorInfoSchema } from '../../gen/google/rpc/error_details_pb.js';
import { StatusSchema } from '../../gen/google/rpc/status_pb.js';
import { StreamObjectsRequestSchema } from '../../gen/stowage/v1/storage_list_pb.js';
import { until } from '../../src/lib/wait.js';
import { type Doors, openDoors } from '../support/doors.js';

let doors: Doors;

beforeAll(async () => {
  doors = await openDoors({ streamIdleTimeoutMs: 200 });
});

afterAll(async () => {
  await doors.close();
});

function framedRequest(): Buffer {
  const request = create(StreamObjectsRequestSchema, { prefix: 'send:100000:100000' });
  const bytes = toBinary(StreamObjectsRequestSchema, request);
  const head = Buffer.alloc(5);
  head.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
}

describe.each(['grpc', 'connect'] as const)('the %s door', (door) => {
  it('ends a stream that is not read with SLOW_CONSUMER behind what was sent', async () => {
    const left = doors.seen.left;
    const session = http2.connect(door === 'grpc' ? doors.grpcUrl : doors.httpUrl);
    const stream = session.request({
      ':method': 'POST',
      ':path': '/stowage.v1.StorageService/StreamObjects',
      'content-type': 'application/grpc+proto',
      te: 'trailers',
    });
    stream.pause();
    stream.end(framedRequest());
    // Without a reader: only the window is filled, then the handler is let go.
    const isLeft = () => doors.seen.left > left && doors.pipeline.inFlight === 0;
    await until(isLeft, { timeoutMs: 10_000, what: 'the handler is let go' });
    const trailers = await new Promise<http2.IncomingHttpHeaders>((resolve) => {
      stream.once('trailers', resolve);
      stream.resume();
    });
    expect(trailers['grpc-status']).toBe('8');
    const status = Buffer.from(String(trailers['grpc-status-details-bin']), 'base64');
    const [info] = fromBinary(StatusSchema, status).details;
    expect(fromBinary(ErrorInfoSchema, info?.value ?? new Uint8Array())).toMatchObject({
      reason: 'SLOW_CONSUMER',
    });
    session.destroy();
  });
});
