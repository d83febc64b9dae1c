// Spans of calls, over both doors and a collector; statements are in services/telemetry.test.ts.

import { randomBytes } from 'node:crypto';
import { channel } from 'node:diagnostics_channel';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Health } from '../../gen/grpc/health/v1/health_pb.js';
import { CallError, createClient } from '../../src/client/index.js';
import { until } from '../../src/lib/wait.js';
import { callStartedHasListeners, publishCallStarted } from '../../src/telemetry/events.js';
import { startLog } from '../../src/telemetry/log.js';
import { startTraces, type Traces } from '../../src/telemetry/traces.js';
import { collect, doorUrls, useClientDoors } from '../support/client-doors.js';
import { freePort } from '../support/free-port.js';
import { type Collector, startCollector } from '../support/trace-collector.js';

const clients = useClientDoors();
let collector: Collector;
let traces: Traces;

beforeAll(async () => {
  collector = await startCollector();
});

afterAll(async () => {
  await collector[Symbol.asyncDispose]();
});

afterEach(async () => {
  await traces.stop();
  collector.spans.length = 0;
});

function start(ratio: number): void {
  const otlp = { endpoint: collector.endpoint, headers: { 'x-key': 'k' }, intervalMs: 60_000 };
  traces = startTraces({ serviceName: 'stowage-test', ratio, otlp }, undefined);
}

/** Callers may know the end of a call before the server does. */
const untilIdle = () =>
  until(() => clients.doors.pipeline.inFlight === 0, { timeoutMs: 5_000, what: 'all has ended' });

const traceparent = (isSampled: boolean) => {
  const traceId = randomBytes(16).toString('hex');
  const spanId = randomBytes(8).toString('hex');
  return { traceId, spanId, text: `00-${traceId}-${spanId}-0${isSampled ? 1 : 0}` };
};

describe.each(doorUrls)('traces at %s', (door) => {
  const open = () => clients.open(door).storage;

  /** One call, with what its response says of its trace. */
  async function get(objectKey: string, headers: Record<string, string> = {}) {
    let response = '';
    await open().getObject(
      { objectKey },
      { headers, onHeader: (received) => (response = received.get('traceresponse') ?? '') },
    );
    return response;
  }

  it('goes on in the trace of the caller, and tells the caller its span', async () => {
    start(0);
    const caller = traceparent(true);
    const response = await get('a', { traceparent: caller.text, tracestate: 'a=1,b=2' });
    await traces.stop();
    const [span] = collector.spans;
    expect(collector.spans).toMatchObject([
      {
        name: 'stowage.v1.StorageService/GetObject',
        kind: 'server',
        traceId: caller.traceId,
        parentSpanId: caller.spanId,
        traceState: 'a=1,b=2',
        isError: false,
        service: 'stowage-test',
        attributes: {
          'rpc.method': 'stowage.v1.StorageService/GetObject',
          'rpc.response.status_code': 'OK',
          'stowage.door': door === 'grpcUrl' ? 'grpc' : 'connect',
          'stowage.request_id': clients.contexts.at(-1)?.requestId,
        },
      },
    ]);
    expect(response).toBe(`00-${caller.traceId}-${span?.spanId}-01`);
    expect(clients.contexts.at(-1)?.trace).toMatchObject({ spanId: span?.spanId });
    expect(span?.endMs).toBeGreaterThanOrEqual(span?.startMs ?? Number.NaN);
    expect(Math.abs(Date.now() - (span?.startMs ?? 0))).toBeLessThan(60_000);
    expect(collector.headers.at(-1)).toMatchObject({ 'x-key': 'k' });
  });

  it('records no trace that its caller does not record', async () => {
    start(1);
    const caller = traceparent(false);
    expect(await get('a', { traceparent: caller.text })).toBe('');
    expect(clients.contexts.at(-1)?.trace?.traceId).toBe(caller.traceId);
    await traces.stop();
    expect(collector.spans).toEqual([]);
  });

  it('begins traces by the ratio', async () => {
    start(0);
    expect(await get('a', { traceparent: 'of no form' })).toBe('');
    await traces.stop();
    expect(collector.spans).toEqual([]);
    start(1);
    const response = await get('a');
    await traces.stop();
    expect(collector.spans).toMatchObject([{ parentSpanId: undefined }]);
    expect(response).toContain(collector.spans[0]?.traceId);
  });

  it('marks what failed, and whose fault it was; the error names the trace', async () => {
    start(1);
    const caller = traceparent(true);
    const headers = { traceparent: caller.text };
    const invalid = await open()
      .getObject({ objectKey: '\0' }, { headers })
      .catch((error: unknown) => error);
    expect((invalid as CallError).metadata).toMatchObject({ trace_id: caller.traceId });
    const missing = await open()
      .deleteObject({ objectKey: 'a' })
      .catch((error: unknown) => error);
    expect(missing).toBeInstanceOf(CallError);
    await traces.stop();
    expect(collector.spans).toMatchObject([
      {
        isError: false,
        attributes: {
          'rpc.response.status_code': 'INVALID_ARGUMENT',
          'stowage.reason': 'INVALID_REQUEST',
        },
      },
      {
        isError: true,
        traceId: (missing as CallError).metadata['trace_id'],
        attributes: {
          'rpc.response.status_code': 'UNIMPLEMENTED',
          'stowage.reason': 'UNIMPLEMENTED',
        },
      },
    ]);
  });

  it('gives a stream one span, to its end', async () => {
    start(1);
    await collect(open().streamObjects({ prefix: 'send:3' }));
    const leaving = new AbortController();
    const left = collect(
      open().streamObjects({ prefix: 'hang' }, { signal: leaving.signal }),
    ).catch(() => undefined);
    const seen = clients.contexts.length;
    await until(() => clients.contexts.length > seen, { timeoutMs: 5_000, what: 'it is there' });
    leaving.abort();
    await left;
    await untilIdle();
    await traces.stop();
    expect(collector.spans).toMatchObject([
      { name: 'stowage.v1.StorageService/StreamObjects', isError: false },
      { isError: false, attributes: { 'stowage.reason': 'CANCELLED' } },
    ]);
  });

  it('begins no trace with who asks for health', async () => {
    start(1);
    const health = createClient(Health, clients.open(door).transport);
    await health.check({});
    const caller = traceparent(true);
    await health.check({}, { headers: { traceparent: caller.text } });
    await traces.stop();
    expect(collector.spans).toMatchObject([{ traceId: caller.traceId }]);
  });
});

describe('traces', () => {
  it('are named by no method that a stranger made up', async () => {
    start(1);
    const url = clients.doors.httpUrl;
    await fetch(`${url}/stowage.v1.None/Such`, { method: 'POST', body: '{}' });
    await traces.stop();
    expect(collector.spans).toMatchObject([
      { name: 'unknown', attributes: { 'rpc.method_original': 'stowage.v1.None/Such' } },
    ]);
  });

  it('tell two calls of one request id apart', async () => {
    start(1);
    const headers = { 'x-request-id': '0198c0de-0000-7000-8000-000000000001' };
    const { storage } = clients.open('grpcUrl');
    await Promise.all(['a', 'b'].map((objectKey) => storage.getObject({ objectKey }, { headers })));
    await traces.stop();
    const ids = collector.spans.map(({ spanId }) => spanId);
    expect(new Set(ids).size).toBe(2);
  });

  it('have a bounded number of statements a call', async () => {
    start(1);
    const { storage } = clients.open('grpcUrl');
    const hanging = storage.getObject({ objectKey: 'hang' }, { timeoutMs: 300 });
    const seen = clients.contexts.length;
    await until(() => clients.contexts.length > seen, { timeoutMs: 5_000, what: 'it is there' });
    const { trace } = clients.contexts.at(-1) ?? {};
    for (let index = 0; index < 600; index += 1) {
      const event = { statement: 's', node: 'n', role: 'standby', attempt: 1, isFallback: false };
      channel('stowage:postgres:query').publish({ ...event, trace, startedAtMs: 1, durationMs: 1 });
    }
    await expect(hanging).rejects.toThrow();
    await untilIdle();
    await traces.stop();
    expect(collector.spans.filter(({ kind }) => kind === 'client')).toHaveLength(500);
    expect(collector.spans.find(({ kind }) => kind === 'server')?.attributes).toMatchObject({
      'stowage.statements_omitted': 100,
    });
  });

  it('listen to nobody once they are stopped', async () => {
    start(1);
    expect(callStartedHasListeners()).toBe(true);
    await traces.stop();
    expect(callStartedHasListeners()).toBe(false);
    expect(channel('stowage:postgres:query').hasSubscribers).toBe(false);
  });

  it('drop what comes faster than it is sent', async () => {
    start(1);
    for (let index = 0; index < 10_000; index += 1) {
      const call = { requestId: 'r', method: 'm', isKnown: true, door: 'grpc' } as const;
      const end = { trace: undefined, principal: 'p', code: 0, durationMs: 1, cause: undefined };
      publishCallStarted({
        ...call,
        startedAtMs: 1,
        caller: undefined,
        traceState: undefined,
        join: (_, onEnd) => onEnd({ ...call, ...end, reason: undefined, message: undefined }),
      });
    }
    await traces.stop();
    expect(collector.spans.length).toBeGreaterThan(0);
    expect(collector.spans.length).toBeLessThan(3_000);
  });

  it('end within their bound where there is no collector, which is logged once', async () => {
    const lines: string[] = [];
    const log = startLog('info', { write: (line) => void lines.push(line) });
    log.stop();
    const otlp = { endpoint: `http://127.0.0.1:${await freePort()}`, headers: {}, intervalMs: 1 };
    traces = startTraces({ serviceName: 's', ratio: 1, otlp }, log.logger);
    await clients.open('grpcUrl').storage.getObject({ objectKey: 'a' });
    const startedMs = performance.now();
    await traces.stop();
    expect(performance.now() - startedMs).toBeLessThan(6_000);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain('ECONNREFUSED');
  });

  it('are lost where the collector refuses them, which is logged once', async () => {
    await using refusing = await startCollector((headers) => `I refuse ${headers['x-key']}`);
    const lines: string[] = [];
    const log = startLog('info', { write: (line) => void lines.push(line) });
    log.stop();
    const otlp = {
      endpoint: refusing.endpoint,
      headers: { 'x-key': 'k'.repeat(9) },
      intervalMs: 1,
    };
    traces = startTraces({ serviceName: 's', ratio: 1, otlp }, log.logger);
    const { storage } = clients.open('grpcUrl');
    const getMany = () =>
      Promise.all(Array.from({ length: 600 }, () => storage.getObject({ objectKey: 'a' })));
    await getMany();
    const isRefused = () => refusing.headers.length > 0;
    await until(isRefused, { timeoutMs: 5_000, what: 'a batch is refused' });
    await traces.stop();
    expect(refusing.headers.length).toBeGreaterThan(1);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain('"level":"warn"');
    expect(lines[0]).not.toContain('kkkkkkkkk');
  });
});
