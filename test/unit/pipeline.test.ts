import { create } from '@bufbuild/protobuf';
import { afterEach, describe, expect, it } from 'vitest';
import { Health as HealthService } from '../../gen/grpc/health/v1/health_pb.js';
import { StreamObjectsRequestSchema } from '../../gen/stowage/v1/storage_list_pb.js';
import { GetObjectRequestSchema } from '../../gen/stowage/v1/storage_read_pb.js';
import { StorageService } from '../../gen/stowage/v1/storage_service_pb.js';
import { parseConfig } from '../../src/config.js';
import { StowageError } from '../../src/errors.js';
import { Pipeline, type PipelineSettings } from '../../src/server/pipeline.js';
import type { InboundCall } from '../../src/server/server-call.js';
import type { CallContext, MethodDefinition } from '../../src/services/handler.js';
import { type CallEnded, onCallEnded } from '../../src/telemetry/events.js';

const standard = parseConfig({}).server;
const request = create(GetObjectRequestSchema, { objectKey: 'a' });
const never = () => new Promise<never>(() => undefined);

type Unary = Extract<MethodDefinition, { kind: 'unary' }>;
type Stream = Extract<MethodDefinition, { kind: 'server_streaming' }>;

function unary(handler: (context: CallContext) => unknown): Unary {
  const method = StorageService.method.getObject;
  return { kind: 'unary', method, handler: async (_, context) => handler(context) } as Unary;
}

function stream(handler: (context: CallContext) => AsyncIterable<unknown>): Stream {
  const method = StorageService.method.streamObjects;
  return { kind: 'server_streaming', method, handler: (_, context) => handler(context) } as Stream;
}

function inbound(options: Partial<InboundCall> & { metadata?: Record<string, string> } = {}) {
  const { metadata = {}, ...rest } = options;
  const sent = new Map<string, string>();
  const call: InboundCall = {
    door: 'grpc',
    method: 'stowage.v1.StorageService/GetObject',
    kind: 'unary',
    origin: { address: undefined, userAgent: undefined },
    headers: (name) => (metadata[name] === undefined ? [] : [metadata[name]]),
    timeoutMs: undefined,
    setHeader: (name, value) => {
      sent.set(name, value);
    },
    ...rest,
  };
  return { call, sent };
}

const pipelineOf = (settings: Partial<PipelineSettings> = {}) =>
  new Pipeline({ ...standard, ...settings });
const same = (_: unknown, answer: unknown) => answer;

function runUnary(
  pipeline: Pipeline,
  handler: (context: CallContext) => unknown,
  options: Parameters<typeof inbound>[0] = {},
) {
  return pipeline.unary(pipeline.open(inbound(options).call), unary(handler), request, same);
}

function runStream(
  pipeline: Pipeline,
  handler: (context: CallContext) => AsyncIterable<unknown>,
  options: Parameters<typeof inbound>[0] = {},
) {
  const { call } = inbound({ kind: 'server_streaming', ...options });
  const message = create(StreamObjectsRequestSchema);
  return pipeline.stream(pipeline.open(call), stream(handler), message, same);
}

const events: CallEnded[] = [];
const stopListening = onCallEnded((event) => events.push(event));

afterEach(() => {
  events.length = 0;
});

describe('Pipeline', () => {
  it('has its steps in the order of the design', () => {
    expect(pipelineOf().stepNames).toEqual([
      'request id',
      'telemetry',
      'authentication',
      'deadline',
      'admission',
      'validation',
    ]);
  });

  it('gives a call an id of its own unless the caller brings a UUID', async () => {
    const ids: string[] = [];
    const pipeline = pipelineOf();
    const remember = (context: CallContext) => {
      ids.push(context.requestId);
      return {};
    };
    await runUnary(pipeline, remember, { metadata: { 'x-request-id': 'not a uuid' } });
    const own = '0198C0DE-0000-7000-8000-000000000001';
    await runUnary(pipeline, remember, { metadata: { 'x-request-id': own } });
    expect(ids).toEqual([expect.stringMatching(/^[0-9a-f-]{14}7/), own.toLowerCase()]);
  });

  it('tells of every call that ends, refused ones included', async () => {
    const pipeline = pipelineOf({ authToken: 't'.repeat(32) });
    await expect(runUnary(pipeline, () => ({}))).rejects.toThrow();
    await runUnary(pipeline, () => ({}), {
      metadata: { authorization: `Bearer ${'t'.repeat(32)}` },
    });
    expect(events.map(({ reason, code, principal }) => ({ reason, code, principal }))).toEqual([
      { reason: 'UNAUTHENTICATED', code: 16, principal: 'anonymous' },
      { reason: undefined, code: 0, principal: 'token' },
    ]);
    expect(events[0]?.durationMs).toBeGreaterThan(0);
  });

  it('asks for the token, but not of who asks for health', async () => {
    const pipeline = pipelineOf({ authToken: 't'.repeat(32) });
    const ask = (authorization: string, method = 'stowage.v1.StorageService/GetObject') =>
      runUnary(pipeline, () => 'served', { method, metadata: { authorization } });
    await expect(ask(`Bearer ${'u'.repeat(32)}`)).rejects.toMatchObject({
      reason: 'UNAUTHENTICATED',
    });
    await expect(ask('t'.repeat(32))).rejects.toMatchObject({ reason: 'UNAUTHENTICATED' });
    expect(await ask(`bearer ${'t'.repeat(32)}`)).toBe('served');
    expect(await ask('', `${HealthService.typeName}/Check`)).toBe('served');
  });

  it('shortens long deadlines, gives one where there is none, and none to streams', async () => {
    const pipeline = pipelineOf({ unaryTimeoutMs: 1000, unaryTimeoutMaxMs: 5000 });
    const remaining = (context: CallContext) => context.deadlineMs - performance.now();
    const unset = await runUnary(pipeline, remaining);
    expect(unset).toBeGreaterThan(900);
    expect(unset).toBeLessThanOrEqual(1000);
    const long = await runUnary(pipeline, remaining, { timeoutMs: 1e9 });
    expect(long).toBeGreaterThan(4900);
    expect(long).toBeLessThanOrEqual(5000);
    const answers = runStream(pipeline, async function* (context) {
      yield context.deadlineMs;
    });
    expect(await answers.next()).toEqual({ done: false, value: Number.POSITIVE_INFINITY });
    await answers.return?.();
  });

  it('ends a call at its deadline though the handler overlooks its signal', async () => {
    const pipeline = pipelineOf({ unaryTimeoutMs: 20 });
    await expect(runUnary(pipeline, never)).rejects.toMatchObject({ reason: 'DEADLINE_EXCEEDED' });
    expect(pipeline.inFlight).toBe(0);
  });

  it('refuses calls past the bound and counts streams apart', async () => {
    const pipeline = pipelineOf({ unaryInFlightMax: 1, streamsInFlightMax: 1 });
    const { call } = inbound();
    const running = pipeline.open(call);
    const first = pipeline.unary(running, unary(never), request, same);
    await expect(runUnary(pipeline, () => ({}))).rejects.toMatchObject({
      reason: 'OVERLOADED',
      retryDelayMs: 1000,
    });
    const open = async function* () {
      yield 1;
      await never();
    };
    const stream = runStream(pipeline, open);
    expect(await stream.next()).toEqual({ done: false, value: 1 });
    await expect(runStream(pipeline, open).next()).rejects.toMatchObject({ reason: 'OVERLOADED' });
    running.cancel();
    await expect(first).rejects.toMatchObject({ reason: 'CANCELLED' });
    expect(await runUnary(pipeline, () => 'served')).toBe('served');
    await stream.return?.();
    expect(pipeline.inFlight).toBe(0);
  });

  it('counts who asks for health apart', async () => {
    const pipeline = pipelineOf({ streamsInFlightMax: 1 });
    const open = async function* () {
      yield 1;
      await never();
    };
    const method = `${HealthService.typeName}/Watch`;
    const watches = [1, 2].map(() => runStream(pipeline, open, { method }));
    for (const watch of watches) expect((await watch.next()).value).toBe(1);
    const stream = runStream(pipeline, open);
    expect((await stream.next()).value).toBe(1);
    for (const each of [stream, ...watches]) await each.return?.();
    expect(pipeline.inFlight).toBe(0);
  });

  it('begins nothing for a stream that was aborted before', async () => {
    const pipeline = pipelineOf({ streamsInFlightMax: 1 });
    let begun = 0;
    const handler = async function* () {
      begun += 1;
      yield 1;
    };
    const call = pipeline.open(inbound({ kind: 'server_streaming' }).call);
    const aborted = pipeline.stream(
      call,
      stream(handler),
      create(StreamObjectsRequestSchema),
      same,
    );
    call.cancel();
    await expect(aborted.next()).rejects.toMatchObject({ reason: 'CANCELLED' });
    expect(begun).toBe(0);
    expect((await runStream(pipeline, handler).next()).value).toBe(1);
  });

  it('makes INTERNAL of what is not ours and keeps the cause for the log', async () => {
    const cause = new TypeError('secret');
    const failing = runUnary(pipelineOf(), () => {
      throw cause;
    });
    await expect(failing).rejects.toMatchObject({ reason: 'INTERNAL', cause });
    expect(events[0]?.cause).toBe(cause);
    expect(events[0]?.message).not.toContain('secret');
  });

  it('ends a stream that is not read for too long and lets its handler clean up', async () => {
    const pipeline = pipelineOf({ streamIdleTimeoutMs: 20 });
    let signal: AbortSignal | undefined;
    const left = new Promise((resolve) => {
      const answers = runStream(pipeline, async function* (context) {
        signal = context.signal;
        try {
          yield 1;
          yield 2;
        } finally {
          resolve(answers);
        }
      });
      void answers.next();
    });
    const answers = (await left) as AsyncIterator<unknown>;
    expect(signal?.reason).toMatchObject({ reason: 'SLOW_CONSUMER' });
    await expect(answers.next()).rejects.toMatchObject({ reason: 'SLOW_CONSUMER' });
    expect(pipeline.inFlight).toBe(0);
    expect(events.map(({ reason }) => reason)).toEqual(['SLOW_CONSUMER']);
  });

  it('lets running calls finish within the grace and ends the rest with DRAINING', async () => {
    const pipeline = pipelineOf();
    let finish: (value: unknown) => void = () => undefined;
    const finishing = runUnary(pipeline, () => new Promise((resolve) => (finish = resolve)));
    const stuck = runUnary(pipeline, never);
    const stuckEnds = expect(stuck).rejects.toMatchObject({ reason: 'DRAINING' });
    const drained = pipeline.drain(50);
    finish('in time');
    expect(await finishing).toBe('in time');
    await drained;
    await stuckEnds;
    await expect(runUnary(pipeline, () => ({}))).rejects.toMatchObject({ reason: 'DRAINING' });
    await pipelineOf().drain(1e9);
  });

  it('does not let a handler’s own error hide why it was aborted', async () => {
    const pipeline = pipelineOf();
    const { call } = inbound();
    const running = pipeline.open(call);
    const ended = pipeline.unary(
      running,
      unary(
        (context) =>
          new Promise((_, reject) => {
            context.signal.addEventListener('abort', () => reject(new StowageError('NO_NODE')));
          }),
      ),
      request,
      same,
    );
    running.cancel();
    await expect(ended).rejects.toMatchObject({ reason: 'CANCELLED' });
  });

  it('stops listening when told to', async () => {
    stopListening();
    await runUnary(pipelineOf(), () => ({}));
    expect(events).toEqual([]);
  });
});
