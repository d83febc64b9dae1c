/** What the doors tell of themselves on diagnostics channels; whoever wants to know listens. */

import { channel } from 'node:diagnostics_channel';
import type { Reason } from '../errors.js';
import type { TraceContext } from '../lib/trace-context.js';
import { listen } from './listen.js';

/** A call that begins; only what listens to it can put it into a trace. */
export interface CallStarted {
  readonly requestId: string;
  /** As of {@link CallEnded}. */
  readonly method: string;
  readonly isKnown: boolean;
  readonly door: 'grpc' | 'connect';
  /** On the clock of `performance.now()`. */
  readonly startedAtMs: number;
  /** What the caller sent. */
  readonly caller: TraceContext | undefined;
  readonly traceState: string | undefined;
  /**
   * Gives the call its own span, which its statements and its caller are told. `onEnd` is called at
   * the call's end: what listens needs no table of calls, whose ids callers may choose and repeat.
   */
  join(trace: TraceContext, onEnd: (event: CallEnded) => void): void;
}

const started = channel('stowage:call-started');

/** Whether anybody listens. */
export function callStartedHasListeners(): boolean {
  return started.hasSubscribers;
}

/** Whether a method is one of the standard health service, which machines ask all the time. */
export function isHealthMethod(method: string): boolean {
  return method.startsWith('grpc.health.v1.Health/');
}

/** Publishes the begin of a call. */
export function publishCallStarted(event: CallStarted): void {
  started.publish(event);
}

/** Listens to the begins of calls. Returns the way to stop. */
export function onCallStarted(listener: (event: CallStarted) => void): () => void {
  return listen(started.name, listener);
}

/** One call that ended, refused ones included. */
export interface CallEnded {
  readonly requestId: string;
  /** The RPC as `stowage.v1.StorageService/GetObject`; what was asked for where there is none. */
  readonly method: string;
  /** False where there is no such RPC: the method is then whatever a stranger sent. */
  readonly isKnown: boolean;
  readonly door: 'grpc' | 'connect';
  readonly principal: string;
  /** The call's own span, or else what its caller sent. */
  readonly trace: TraceContext | undefined;
  /** The gRPC status code; 0 is OK. */
  readonly code: number;
  /** Undefined where the call succeeded. */
  readonly reason: Reason | undefined;
  /** What the caller was told; undefined where the call succeeded. */
  readonly message: string | undefined;
  /** Of INVALID_REQUEST the fields at fault. */
  readonly fields?: readonly string[] | undefined;
  /** What lay behind an error; for the log alone. */
  readonly cause: unknown;
  readonly durationMs: number;
}

const ended = channel('stowage:call-ended');

/** Whether anybody listens, so that the event need not be made for nobody. */
export function callEndedHasListeners(): boolean {
  return ended.hasSubscribers;
}

/** Publishes the end of a call. */
export function publishCallEnded(event: CallEnded): void {
  ended.publish(event);
}

/** Listens to the ends of calls. Returns the way to stop. */
export function onCallEnded(listener: (event: CallEnded) => void): () => void {
  return listen(ended.name, listener);
}

/** One message of a stream that has left, and how long its door took it. */
export interface StreamMessageSent {
  /** As of {@link CallEnded}. */
  readonly method: string;
  /**
   * How long the stream stood still because nobody asked for the next message: the transport's
   * buffers are full, for its caller does not read.
   */
  readonly stalledMs: number;
}

const sent = channel('stowage:stream-message');

/** Whether anybody listens. */
export function streamMessageHasListeners(): boolean {
  return sent.hasSubscribers;
}

/** Publishes that a message has left. */
export function publishStreamMessage(event: StreamMessageSent): void {
  sent.publish(event);
}

/** Listens to messages of streams. Returns the way to stop. */
export function onStreamMessage(listener: (event: StreamMessageSent) => void): () => void {
  return listen(sent.name, listener);
}

/** What a server took of its settings while it runs. */
export interface ReloadEnded {
  /** Names of nodes. */
  readonly added: readonly string[];
  readonly removed: readonly string[];
  readonly isPasswordChanged: boolean;
  /** Why all was kept as it was; undefined where it was not. */
  readonly error: unknown;
}

const reloaded = channel('stowage:reload-ended');

/** Publishes the end of a reload. */
export function publishReloadEnded(event: ReloadEnded): void {
  reloaded.publish(event);
}

/** Listens to the ends of reloads. Returns the way to stop. */
export function onReloadEnded(listener: (event: ReloadEnded) => void): () => void {
  return listen(reloaded.name, listener);
}
