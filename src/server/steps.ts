/**
 * What every call goes through before its handler, in order, and after it, in reverse. Each step
 * costs a function call and no promise, for unary calls are counted in microseconds.
 */

import type { DescMessage, Message } from '@bufbuild/protobuf';
import { validate as isUuid, v7 as uuidv7 } from 'uuid';
import type { ServerSettings } from '../config.js';
import { StowageError } from '../errors.js';
import { formatTraceparent, parseTraceparent } from '../lib/trace-context.js';
import {
  type CallEnded,
  callEndedHasListeners,
  callStartedHasListeners,
  isHealthMethod,
  publishCallEnded,
  publishCallStarted,
} from '../telemetry/events.js';
import { bearerCheck } from './bearer.js';
import type { CallKind, ServerCall } from './server-call.js';
import { validateRequest } from './validation.js';

/** A step. A refusal is a thrown StowageError; the steps behind it are not entered. */
export interface Step {
  readonly name: string;
  /** Before the handler. */
  enter?(call: ServerCall): void;
  /** For each message that arrives. */
  request?(call: ServerCall, descriptor: DescMessage, message: Message): void;
  /** Once, at the end of a call that entered; `error` is what it failed with. */
  leave?(call: ServerCall, error: StowageError | undefined): void;
}

/** What the steps need of the settings. */
export type StepSettings = Pick<
  ServerSettings,
  'authToken' | 'unaryTimeoutMs' | 'unaryTimeoutMaxMs' | 'unaryInFlightMax' | 'streamsInFlightMax'
>;

/**
 * The pipeline's steps, the outermost first. Telemetry stands outside whatever refuses, so that
 * refusals are counted; only the id comes before it, which it tells. The handler comes after them.
 */
export function createSteps(settings: StepSettings): readonly Step[] {
  return [
    requestId,
    telemetry,
    authentication(settings.authToken),
    deadline(settings.unaryTimeoutMs, settings.unaryTimeoutMaxMs),
    admission(settings.unaryInFlightMax, settings.streamsInFlightMax),
    validation,
  ];
}

/** The caller's id where it is a UUID, so that one id can follow a call through many services. */
const requestId: Step = {
  name: 'request id',
  enter(call) {
    const given = call.inbound.headers('x-request-id')[0];
    call.requestId = given !== undefined && isUuid(given) ? given.toLowerCase() : uuidv7();
    call.tokens = call.inbound
      .headers('stowage-token')
      .flatMap((value) => value.split(','))
      .map((value) => value.trim())
      .filter((value) => value !== '');
    call.inbound.setHeader('x-request-id', call.requestId);
  },
};

const telemetry: Step = {
  name: 'telemetry',
  enter(call) {
    call.trace = parseTraceparent(call.inbound.headers('traceparent')[0]);
    if (!callStartedHasListeners()) {
      return;
    }
    publishCallStarted({
      requestId: call.requestId,
      method: call.method,
      isKnown: call.isKnown,
      door: call.inbound.door,
      startedAtMs: call.startedMs,
      caller: call.trace,
      traceState: call.inbound.headers('tracestate').join(',') || undefined,
      join(trace, onEnd) {
        call.trace = trace;
        call.onEnd = onEnd;
        call.inbound.setHeader('traceresponse', formatTraceparent(trace));
      },
    });
  },
  leave(call, error) {
    if (call.onEnd === undefined && !callEndedHasListeners()) {
      return;
    }
    const event: CallEnded = {
      requestId: call.requestId,
      method: call.method,
      isKnown: call.isKnown,
      door: call.inbound.door,
      trace: call.trace,
      principal: call.principal,
      code: error?.code ?? 0,
      reason: error?.reason,
      message: error?.message,
      fields: error?.violations.map(({ field }) => field),
      cause: error?.cause,
      durationMs: performance.now() - call.startedMs,
    };
    call.onEnd?.(event);
    publishCallEnded(event);
  },
};

function authentication(token: string | undefined): Step {
  const name = 'authentication';
  if (token === undefined) {
    return { name };
  }
  const isBearer = bearerCheck(token);
  return {
    name,
    enter(call) {
      // A load balancer that asks for health has no token.
      if (isHealth(call)) {
        return;
      }
      if (!isBearer(call.inbound.headers('authorization')[0])) {
        throw new StowageError('UNAUTHENTICATED');
      }
      call.principal = 'token';
    },
  };
}

function isHealth(call: ServerCall): boolean {
  return isHealthMethod(call.method);
}

/** Streams have no deadline but the caller's own. */
function deadline(standardMs: number, maxMs: number): Step {
  const timers = new WeakMap<ServerCall, NodeJS.Timeout>();
  return {
    name: 'deadline',
    enter(call) {
      const { kind, timeoutMs } = call.inbound;
      const allowedMs = kind === 'unary' ? Math.min(timeoutMs ?? standardMs, maxMs) : timeoutMs;
      if (allowedMs === undefined) {
        return;
      }
      if (allowedMs <= 0) {
        throw new StowageError('DEADLINE_EXCEEDED');
      }
      call.deadlineMs = call.startedMs + allowedMs;
      // A longer one overflows the timer, which would fire at once; in 24 days all has ended.
      if (allowedMs < 2 ** 31) {
        const timer = setTimeout(() => {
          call.abort(new StowageError('DEADLINE_EXCEEDED'));
        }, allowedMs);
        timers.set(call, timer);
      }
    },
    leave(call) {
      clearTimeout(timers.get(call));
    },
  };
}

/** A client that watches health holds a stream for as long as it is connected. */
const healthInFlightMax = 10_000;

/** What a call is for the bounds, and for who counts calls. */
export function kindOf(call: ServerCall): CallKind {
  if (isHealth(call)) {
    return 'health';
  }
  return call.inbound.kind === 'unary' ? 'unary' : 'stream';
}

/**
 * Streams are counted apart, so that exports cannot starve unary calls, nor these exports; and so
 * are calls for health, which come without a token and from every client.
 */
function admission(unaryMax: number, streamsMax: number): Step {
  const lanes = {
    unary: { inFlight: 0, max: unaryMax },
    stream: { inFlight: 0, max: streamsMax },
    health: { inFlight: 0, max: healthInFlightMax },
  };
  const laneOf = (call: ServerCall) => lanes[kindOf(call)];
  return {
    name: 'admission',
    enter(call) {
      const lane = laneOf(call);
      if (lane.inFlight >= lane.max) {
        throw new StowageError('OVERLOADED', { retryDelayMs: 1000 });
      }
      lane.inFlight += 1;
    },
    leave(call) {
      laneOf(call).inFlight -= 1;
    },
  };
}

const validation: Step = {
  name: 'validation',
  request(_call, descriptor, message) {
    validateRequest(descriptor, message);
  },
};
