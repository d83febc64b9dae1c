/** One attempt of one call: its deadline, its end by its caller, and what its error means. */

import { CallError } from '../../src/client/index.js';
import type { Random } from '../support/random.js';
import type { Caller, CallOptions } from './caller.js';
import type { Demand } from './history.js';
import type { Recorder } from './recorder.js';
import { objectionTo } from './refusals.js';

/** What is going on around the callers. */
export interface Surroundings {
  /** Whether no fault was under way, or just over, at any time since. */
  isCalmSince(ms: number): boolean;
  /** Whether some node was not touched by any fault that hurts reads, at any time since. */
  hasNodeSince(ms: number): boolean;
  /** Whether a server was stopped, away or starting at any time since. */
  isServerDownSince(server: number, ms: number): boolean;
}

/** What callers share. */
export interface World {
  readonly project: string;
  /** In byte order. */
  readonly keys: readonly string[];
  /** One a server. */
  readonly callers: readonly Caller[];
  readonly recorder: Recorder;
  readonly surroundings: Surroundings;
  /** Aborts when no further call shall begin. */
  readonly stopping: AbortSignal;
}

/** How an attempt is to be made. */
export interface AttemptOptions {
  readonly op: string;
  /** Undefined for a write. */
  readonly demand: Demand['kind'] | undefined;
  readonly hasRequestId: boolean;
  readonly server: number;
  readonly timeoutMs: number;
  /** Ended by the caller after so long; undefined: never. */
  readonly cancelAfterMs?: number | undefined;
  readonly token?: string | undefined;
  readonly isStream?: boolean;
  readonly isSlow?: boolean;
}

/** Reasons that are answers: the call was understood, and this is what is so. */
const ANSWERS: ReadonlySet<string | undefined> = new Set(['OBJECT_NOT_FOUND', 'REVISION_MISMATCH']);

/** What came of an attempt. */
export type Attempted<T> =
  | { readonly value: T; readonly startMs: number; readonly endMs: number }
  | { readonly error: CallError; readonly isAnswer: boolean; readonly startMs: number };

/** Deadlines: most are long, some nothing can keep. */
export function chooseTimeoutMs(random: Random): number {
  return random.below(20) === 0 ? 5 + random.below(100) : 5_000;
}

/** Some calls are given up by their callers. */
export function chooseCancelAfterMs(random: Random): number | undefined {
  return random.below(25) === 0 ? random.below(30) : undefined;
}

/** Makes one attempt and judges its error. */
export async function attempt<T>(
  world: World,
  options: AttemptOptions,
  send: (caller: Caller, options: CallOptions) => Promise<T>,
): Promise<Attempted<T>> {
  const caller = world.callers[options.server];
  if (caller === undefined) throw new Error(`there is no server ${options.server}`);
  const { op, timeoutMs, token, cancelAfterMs } = options;
  const controller = new AbortController();
  const timer =
    cancelAfterMs === undefined ? undefined : setTimeout(() => controller.abort(), cancelAfterMs);
  const startMs = performance.now();
  try {
    const { signal } = controller;
    const sent = { timeoutMs, signal, ...(token === undefined ? {} : { token }) };
    const value = await send(caller, sent);
    world.recorder.ended(op, 'ok');
    return { value, startMs, endMs: performance.now() };
  } catch (error) {
    if (!(error instanceof CallError)) throw error;
    const isAnswer = ANSWERS.has(error.reason);
    world.recorder.ended(op, error.reason ?? `no reason, code ${error.code}`);
    if (!isAnswer)
      judge(world, options, { error, startMs, isCancelled: controller.signal.aborted });
    return { error, isAnswer, startMs };
  } finally {
    clearTimeout(timer);
  }
}

function judge(
  { recorder, surroundings }: World,
  options: AttemptOptions,
  { error, startMs, isCancelled }: { error: CallError; startMs: number; isCancelled: boolean },
): void {
  const { op, demand, hasRequestId, server, timeoutMs } = options;
  const { isSlow = false, isStream = false } = options;
  const elapsedMs = performance.now() - startMs;
  const objection = objectionTo(error, {
    ...{ demand, hasRequestId, elapsedMs, timeoutMs, isCancelled, isSlow, isStream },
    isCalm: surroundings.isCalmSince(startMs),
    hasNode: surroundings.hasNodeSince(startMs),
    isServerDown: surroundings.isServerDownSince(server, startMs),
  });
  if (objection === undefined) return;
  const how = `${op} ${demand ?? ''} at server ${server} after ${elapsedMs.toFixed(0)} ms`;
  const what = `${error.reason ?? `code ${error.code}`}: ${error.message}`;
  const detail = `${how}: ${what}: ${objection} (request ${error.requestId ?? 'unknown'})`;
  recorder.finding('a refusal fits the table', detail);
}
