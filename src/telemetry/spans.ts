/** The spans of calls and of their statements, made of what is published of them. */

import {
  type Attributes,
  type Context,
  createTraceState,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  type Tracer,
  trace as tracing,
} from '@opentelemetry/api';
import { Code } from '../../gen/google/rpc/code_pb.js';
import type { TraceContext } from '../lib/trace-context.js';
import { type CallEnded, type CallStarted, isHealthMethod } from './events.js';
import { WallClock } from './wall-clock.js';

/** What is read of the core's event, which this room may not import. */
export interface StatementEnded {
  readonly statement: string;
  readonly node: string;
  readonly role: string;
  readonly startedAtMs: number;
  readonly durationMs: number;
  readonly rows: number | undefined;
  readonly attempt: number;
  readonly isFallback: boolean;
  readonly trace: TraceContext | undefined;
  readonly reason: string | undefined;
}

/**
 * Statements of one call that have spans; the rest are counted. An export of millions of rows has
 * thousands, which no page shows and which would push other calls' spans out of the queue.
 */
const statementSpansMax = 500;

/** A tracestate of the standard is no longer; longer ones need not be passed on. */
const traceStateCharactersMax = 512;

/** Codes that say that the server failed, rather than its caller. */
const serverFaults: ReadonlySet<Code> = new Set([
  Code.UNKNOWN,
  Code.DEADLINE_EXCEEDED,
  Code.UNIMPLEMENTED,
  Code.INTERNAL,
  Code.UNAVAILABLE,
  Code.DATA_LOSS,
]);

/** The context of a recorded call, which its statements bring back. */
class CallTrace implements TraceContext {
  readonly traceId: string;
  readonly spanId: string;
  readonly isSampled = true;
  readonly context: Context;
  statements = 0;

  constructor(span: Span) {
    const { traceId, spanId } = span.spanContext();
    this.traceId = traceId;
    this.spanId = spanId;
    this.context = tracing.setSpan(ROOT_CONTEXT, span);
  }
}

/**
 * Makes spans. An open one hangs on its call alone, so that there are never more of them than
 * calls in flight, which are bounded.
 */
export class CallSpans {
  readonly #tracer: Tracer;
  readonly #ratio: number;
  readonly #clock = new WallClock();

  /** @param ratio the share of calls with which a trace begins, of those that are in none. */
  constructor(tracer: Tracer, ratio: number) {
    this.#tracer = tracer;
    this.#ratio = ratio;
  }

  /** Puts a call into a trace, where it is to be recorded. */
  begin(event: CallStarted): void {
    const { caller, isKnown, method } = event;
    // Decided here: a sampler that says so costs each of these calls 2 microseconds.
    if (caller?.isSampled === false) return;
    if (caller === undefined && Math.random() >= this.#ratio) return;
    // Machines ask for health all the time: no trace begins with that.
    if (caller === undefined && isHealthMethod(method)) return;
    const span = this.#tracer.startSpan(
      isKnown ? method : 'unknown',
      { kind: SpanKind.SERVER, startTime: this.#clock.sync().at(event.startedAtMs) },
      caller === undefined ? ROOT_CONTEXT : remoteContext(caller, event.traceState),
    );
    const call = new CallTrace(span);
    event.join(call, (ended) => this.#end(span, call, event.startedAtMs, ended));
  }

  /** Adds a statement to the trace of its call. */
  statement(event: StatementEnded): void {
    const { trace: call, startedAtMs, durationMs, reason } = event;
    if (!(call instanceof CallTrace)) return;
    call.statements += 1;
    if (call.statements > statementSpansMax) return;
    const span = this.#tracer.startSpan(
      event.statement,
      { kind: SpanKind.CLIENT, startTime: this.#clock.at(startedAtMs) },
      call.context,
    );
    span.setAttributes(statementAttributes(event));
    // Who leaves early has no trouble with the database.
    if (reason !== undefined && reason !== 'CANCELLED') {
      span.setStatus({ code: SpanStatusCode.ERROR });
    }
    span.end(this.#clock.at(startedAtMs + durationMs));
  }

  #end(span: Span, call: CallTrace, startedAtMs: number, ended: CallEnded): void {
    span.setAttributes(callAttributes(ended));
    const omitted = call.statements - statementSpansMax;
    if (omitted > 0) span.setAttribute('stowage.statements_omitted', omitted);
    // What the caller was told may hold the caller's data; the reason says it without.
    if (serverFaults.has(ended.code)) span.setStatus({ code: SpanStatusCode.ERROR });
    span.end(this.#clock.at(startedAtMs + ended.durationMs));
  }
}

function remoteContext(caller: TraceContext, traceState: string | undefined): Context {
  const context: SpanContext = {
    traceId: caller.traceId,
    spanId: caller.spanId,
    traceFlags: caller.isSampled ? TraceFlags.SAMPLED : TraceFlags.NONE,
    isRemote: true,
  };
  if (traceState !== undefined && traceState.length <= traceStateCharactersMax) {
    context.traceState = createTraceState(traceState);
  }
  return tracing.setSpanContext(ROOT_CONTEXT, context);
}

function callAttributes(call: CallEnded): Attributes {
  const { isKnown, method, door, code, reason } = call;
  const attributes: Attributes = {
    'rpc.system.name': door === 'grpc' ? 'grpc' : 'connectrpc',
    'rpc.method': isKnown ? method : 'unknown',
    'rpc.response.status_code': Code[code],
    'stowage.door': door,
    'stowage.request_id': call.requestId,
  };
  if (!isKnown) attributes['rpc.method_original'] = method;
  if (reason !== undefined) {
    attributes['error.type'] = reason;
    attributes['stowage.reason'] = reason;
  }
  return attributes;
}

function statementAttributes(event: StatementEnded): Attributes {
  const attributes: Attributes = {
    'db.system.name': 'postgresql',
    'stowage.statement': event.statement,
    'stowage.node': event.node,
    'stowage.role': event.role,
    'stowage.attempt': event.attempt,
  };
  if (event.isFallback) attributes['stowage.fallback'] = true;
  if (event.rows !== undefined) attributes['db.response.returned_rows'] = event.rows;
  if (event.reason !== undefined) attributes['error.type'] = event.reason;
  return attributes;
}
