// What door 2 promises of HTTP: both versions on one port, its guard, and bytes that no client
// library would send.
import http from 'node:http';
import http2 from 'node:http2';
import net from 'node:net';
import { create, toBinary } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { GetObjectRequestSchema } from '../../gen/stowage/v1/storage_read_pb.js';
import { until } from '../../src/lib/wait.js';
import { onCallEnded } from '../../src/telemetry/events.js';
import { type Doors, openDoors } from '../support/doors.js';

const getObject = '/stowage.v1.StorageService/GetObject';
const json = { 'content-type': 'application/json' };

let doors: Doors;
let agent: http.Agent;

beforeAll(async () => {
  doors = await openDoors(
    { allowedOrigins: ['https://app.example'], allowedHosts: ['stowage.example'] },
    { headersTimeoutMs: 300, idleTimeoutMs: 5000 },
  );
  agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
});

afterAll(async () => {
  agent.destroy();
  await doors.close();
});

interface Answer {
  readonly status: number | undefined;
  readonly headers: http.IncomingHttpHeaders;
  readonly text: string;
  /** The local port: the same for the same connection. */
  readonly port: number | undefined;
}

interface Sending {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string | Uint8Array;
}

function send({ method = 'POST', path = getObject, headers = json, body }: Sending) {
  return new Promise<Answer>((resolve, reject) => {
    const { port } = doors.connect.address;
    const request = http.request(
      { host: '127.0.0.1', port, method, path, headers, agent },
      (response) => {
        const port = response.socket.localPort;
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString();
          resolve({ status: response.statusCode, headers: response.headers, text, port });
        });
      },
    );
    request.on('error', reject);
    request.end(body);
  });
}

const reasonOf = (answer: Answer): unknown => JSON.parse(answer.text).details?.[0]?.debug?.reason;
const fieldOf = (answer: Answer): unknown =>
  JSON.parse(answer.text).details?.[1]?.debug?.fieldViolations?.[0]?.field;

describe('door 2', () => {
  it('answers HTTP/1.1 and HTTP/2 on one port', async () => {
    const first = await send({ body: '{"objectKey":"a"}' });
    expect(first.status).toBe(200);
    expect(JSON.parse(first.text)).toMatchObject({ object: { objectKey: 'a', size: '5' } });
    const session = http2.connect(doors.httpUrl);
    const stream = session.request({
      ':method': 'POST',
      ':path': getObject,
      'content-type': 'application/json',
    });
    stream.end('{"objectKey":"b"}');
    const chunks: Buffer[] = [];
    for await (const chunk of stream) chunks.push(chunk as Buffer);
    expect(JSON.parse(Buffer.concat(chunks).toString())).toMatchObject({
      object: { objectKey: 'b' },
    });
    session.close();
  });

  it.each([
    ['malformed JSON', '{"objectKey":', undefined],
    ['an unknown field', '{"objectKey":"a","colour":1}', 'colour'],
    ['a field of another type', '{"objectKey":["a"]}', 'object_key'],
    ['a lone surrogate', '{"objectKey":"\\ud800"}', 'object_key'],
    ['text that is not UTF-8', Buffer.from([0x22, 0xff, 0x22]), undefined],
    ['no object at all', '[]', undefined],
  ])('refuses %s with a typed error and keeps the connection', async (_, body, field) => {
    const before = await send({ body: '{"objectKey":"a"}' });
    const answer = await send({ body });
    expect(answer.status).toBe(400);
    expect(reasonOf(answer)).toBe('INVALID_REQUEST');
    expect(fieldOf(answer)).toBe(field);
    const after = await send({ body: '{"objectKey":"a"}' });
    expect([answer.port, after.port]).toEqual([before.port, before.port]);
  });

  it('refuses a JSON number that reading has rounded', async () => {
    const path = '/stowage.v1.StorageService/RecordObject';
    for (const [body, field] of [
      ['{"object":{"objectKey":"a","size":9007199254740993}}', 'object.size'],
      ['{"object":{"metadata":{"n":[1,12345678901234567890]}}}', 'object.metadata.n[1]'],
      ['{"object":{"metadata":{"n":1e300}}}', 'object.metadata.n'],
    ] as const) {
      const answer = await send({ path, body });
      expect(reasonOf(answer)).toBe('INVALID_REQUEST');
      expect(fieldOf(answer)).toBe(field);
    }
    const text = '{"object":{"objectKey":"a","storageBackend":"s3","size":"9007199254740993"}}';
    expect((await send({ path, body: text })).status).toBe(200);
  });

  it.each(['application/proto', 'application/grpc-web+proto'])(
    'refuses malformed protobuf as %s and keeps the connection',
    async (contentType) => {
      const good = toBinary(
        GetObjectRequestSchema,
        create(GetObjectRequestSchema, { objectKey: 'abc' }),
      );
      const frame = (bytes: Uint8Array) => {
        if (contentType === 'application/proto') return bytes;
        const head = Buffer.alloc(5);
        head.writeUInt32BE(bytes.length, 1);
        return Buffer.concat([head, bytes]);
      };
      const notUtf8 = Uint8Array.from(good);
      notUtf8[notUtf8.length - 1] = 0xff;
      const ports = new Set<number | undefined>();
      for (const bytes of [good.subarray(0, 3), notUtf8]) {
        const answer = await send({
          headers: { 'content-type': contentType },
          body: frame(bytes),
        });
        ports.add(answer.port);
        const bin = /grpc-status-details-bin: (\S+)/.exec(answer.text)?.[1];
        const told = bin === undefined ? answer.text : Buffer.from(bin, 'base64').toString();
        expect(told).toContain('INVALID_REQUEST');
      }
      expect(ports.size).toBe(1);
    },
  );

  it('refuses 5 MiB over HTTP/1.1 on a connection that stays', async () => {
    const before = await send({ body: '{"objectKey":"a"}' });
    const answer = await send({ body: `{"objectKey":"${'x'.repeat(5 * 1024 * 1024)}"}` });
    expect(answer.status).toBe(429);
    expect(reasonOf(answer)).toBe('MESSAGE_TOO_LARGE');
    const after = await send({ body: '{"objectKey":"a"}' });
    expect([answer.port, after.port]).toEqual([before.port, before.port]);
  });

  it('waits no longer for a body that it has refused', async () => {
    const timers = () =>
      process.getActiveResourcesInfo().filter((resource) => resource === 'Timeout').length;
    const before = timers();
    for (let refused = 0; refused < 5; refused += 1) {
      const body = 'x'.repeat(5 * 1024 * 1024);
      const { port } = doors.connect.address;
      // It gives its connection up with the answer, which `send` does not.
      await fetch(`http://127.0.0.1:${port}${getObject}`, { method: 'POST', headers: json, body });
    }
    // Others come and go; five of a minute each would stay.
    const areGone = () => timers() < before + 3;
    await until(areGone, { timeoutMs: 10_000, what: 'the timers are gone' });
  });

  it('names the unary twin of a bidi stream that comes over HTTP/1.1', async () => {
    const answer = await send({ path: '/stowage.v1.StorageService/IngestObjects' });
    expect(answer.status).toBe(501);
    expect(reasonOf(answer)).toBe('UNIMPLEMENTED');
    expect(answer.text).toContain('StorageService/BatchRecordObjects');
  });

  it('says UNIMPLEMENTED of methods and services that are not there', async () => {
    const answer = await send({ path: '/stowage.v1.StorageService/Nothing', body: '{}' });
    expect(answer.status).toBe(404);
    expect(reasonOf(answer)).toBe('UNIMPLEMENTED');
    const grpcWeb = await send({
      path: '/no.such.Service/Nothing',
      headers: { 'content-type': 'application/grpc-web+proto' },
    });
    expect(grpcWeb.status).toBe(200);
    expect(grpcWeb.headers['grpc-status']).toBe('12');
    expect(grpcWeb.headers['grpc-status-details-bin']).toBeDefined();
  });

  const recordObject = '/stowage.v1.StorageService/RecordObject';
  const streamObjects = '/stowage.v1.StorageService/StreamObjects';

  it.each([
    ['a write by GET', 405, /POST application\/json/, { method: 'GET', path: recordObject }],
    ['a stream by GET', 405, /connect\+json/, { method: 'GET', path: streamObjects }],
    ['a read by GET without a message', 415, /POST .*application\/json/, { method: 'GET' }],
    ['plain text', 415, /takes application\/json/, { headers: { 'content-type': 'text/plain' } }],
    ['no content type', 415, /takes application\/json/, { headers: {} }],
    ['a stream as JSON', 415, /a stream takes application\/connect\+json/, { path: streamObjects }],
  ] as const)('says how to call instead of %s', async (_, status, advice, sending) => {
    const headers = 'method' in sending ? {} : json;
    const answer = await send({ headers, body: '', ...sending });
    expect(answer.status).toBe(status);
    expect(reasonOf(answer)).toBe('INVALID_REQUEST');
    expect(JSON.parse(answer.text).message).toMatch(advice);
    expect(answer.headers.allow).toBe(status === 405 ? 'POST' : undefined);
  });

  it('serves reads by GET, where caches can hold them', async () => {
    const message = encodeURIComponent('{"objectKey":"by get"}');
    const path = `${getObject}?connect=v1&encoding=json&message=${message}`;
    const answer = await send({ method: 'GET', path, headers: {} });
    expect(answer.status).toBe(200);
    expect(JSON.parse(answer.text)).toMatchObject({ object: { objectKey: 'by get' } });
  });

  it('says of a body that does not come in time that it did not', async () => {
    const slow = await openDoors({}, { headersTimeoutMs: 100, requestTimeoutMs: 200 });
    const ended: unknown[] = [];
    const stop = onCallEnded((event) => ended.push(event));
    const session = http2.connect(slow.httpUrl);
    const stream = session.request({
      ':method': 'POST',
      ':path': getObject,
      'content-type': 'application/json',
    });
    stream.on('error', () => undefined).resume();
    stream.write('{"objectKey"');
    await until(() => ended.length > 0, { timeoutMs: 5000, what: 'the call has ended' });
    stop();
    session.destroy();
    await slow.close();
    expect(ended).toMatchObject([
      { reason: 'DEADLINE_EXCEEDED', message: 'the request was not sent in time' },
    ]);
  });

  it.each([
    ['127.0.0.1:1', 200],
    ['localhost', 200],
    ['[::1]:8080', 200],
    ['Stowage.Example:443', 200],
    ['evil.example', 421],
    ['127.0.0.1.evil.example', 421],
    ['stowage.example.evil', 421],
  ])('answers to the host %s with %i', async (host, status) => {
    const answer = await send({ body: '{"objectKey":"a"}', headers: { ...json, host } });
    expect(answer.status).toBe(status);
    if (status !== 200) expect(reasonOf(answer)).toBe('PERMISSION_DENIED');
  });

  it('lets pages of allowed origins call and refuses others', async () => {
    const call = (origin: string) =>
      send({ body: '{"objectKey":"a"}', headers: { ...json, origin } });
    const allowed = await call('https://app.example');
    expect(allowed.status).toBe(200);
    expect(allowed.headers['access-control-allow-origin']).toBe('https://app.example');
    expect(allowed.headers['access-control-expose-headers']).toMatch(/stowage-token/i);
    const foreign = await call('https://evil.example');
    expect(foreign.status).toBe(403);
    expect(reasonOf(foreign)).toBe('PERMISSION_DENIED');
    expect(foreign.headers['access-control-allow-origin']).toBeUndefined();
    expect((await call('null')).status).toBe(403);
    const own = await call(doors.httpUrl);
    expect(own.status).toBe(200);
  });

  it('answers the preflight of an allowed origin', async () => {
    const preflight = {
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'content-type,authorization,stowage-token',
    };
    const answer = await send({
      method: 'OPTIONS',
      headers: { origin: 'https://app.example', ...preflight },
    });
    expect(answer.status).toBe(204);
    expect(answer.headers['access-control-allow-headers']).toMatch(/stowage-token/i);
    expect(answer.headers['access-control-allow-methods']).toContain('POST');
    const foreign = await send({
      method: 'OPTIONS',
      headers: { origin: 'https://evil.example', ...preflight },
    });
    expect(foreign.status).toBe(403);
  });

  it.each(['', 'PR', 'GET / HTTP/1.1\r\nhost: 127.0.0.1\r\n'])(
    'ends a connection that says %j and no more',
    async (text) => {
      const socket = net.connect(doors.connect.address.port, '127.0.0.1');
      socket.write(text);
      socket.resume();
      await new Promise((resolve) => socket.once('close', resolve));
    },
  );

  it('survives a connection that is reset in the midst of its preface', async () => {
    const socket = net.connect(doors.connect.address.port, '127.0.0.1');
    await new Promise((resolve) => socket.write('PR', resolve));
    socket.resetAndDestroy();
    expect((await send({ body: '{"objectKey":"a"}' })).status).toBe(200);
  });
});
