/** Carries one write through: repeats it with its request id as far as its errors allow. */

import { pause } from '../../src/lib/wait.js';
import type { Random } from '../support/random.js';
import {
  type Attempted,
  attempt,
  chooseCancelAfterMs,
  chooseTimeoutMs,
  type World,
} from './attempt.js';
import { positionOf } from './demands.js';
import type { WriteOutcome, WriteRecord } from './history.js';
import type { Acknowledged, WritePlan } from './write-plans.js';

/** How long a write is repeated for: longer than a failover takes. */
const PATIENCE_MS = 12_000;
const RETRY_DELAY_MS_MAX = 300;

/** What is known of a write while it is carried through. */
interface Course {
  readonly answers: Acknowledged[];
  startMs: number;
  endMs: number;
  /** Some attempt may have been done. */
  isInDoubt: boolean;
  isRejected: boolean;
}

/** Carries a write through and writes it down. @returns what it was answered, if it was */
export async function write(
  world: World,
  random: Random,
  plan: WritePlan,
): Promise<Acknowledged | undefined> {
  const startMs = performance.now();
  const course: Course = {
    answers: [],
    startMs,
    endMs: startMs,
    isInDoubt: false,
    isRejected: false,
  };
  const isTwin = plan.requestId !== undefined && random.below(20) === 0;
  if (isTwin) await twins(world, plan, course);
  else await untilSettled(world, random, plan, course);
  // The answer that came is asked for again: it must be the same, and nothing done twice.
  if (course.answers.length === 1 && plan.requestId !== undefined && random.below(10) === 0) {
    await once(world, random, plan, { ...course, endMs: 0 });
  }
  const record = recordOf(plan, course);
  world.recorder.wrote(record, course.answers[0]?.token ?? '');
  return course.answers[0];
}

function recordOf(plan: WritePlan, course: Course): WriteRecord {
  const { op, tag, requestId, keys, ifRevision } = plan;
  const { answers, startMs, endMs } = course;
  return {
    ...{ kind: 'write', op, tag, requestId, keys, ifRevision, startMs, endMs },
    outcome: outcomeOf(course),
    answers: answers.map(({ results }) => results),
    position: positionOf(answers[0]?.token ?? ''),
  };
}

function outcomeOf({ answers, isInDoubt, isRejected }: Course): WriteOutcome {
  if (answers.length > 0) return 'acked';
  if (isInDoubt) return 'unknown';
  return isRejected ? 'rejected' : 'refused';
}

async function untilSettled(
  world: World,
  random: Random,
  plan: WritePlan,
  course: Course,
): Promise<void> {
  for (;;) {
    const attempted = await once(world, random, plan, course);
    if ('value' in attempted || attempted.isAnswer) return;
    const isOver = performance.now() - course.startMs > PATIENCE_MS;
    const { retry, retryDelayMs = 50 } = attempted.error;
    if (isOver || world.stopping.aborted || !mayRepeat(plan, retry)) return;
    await pause(Math.min(retryDelayMs, RETRY_DELAY_MS_MAX));
  }
}

function mayRepeat({ requestId }: WritePlan, retry: string): boolean {
  if (retry === 'same_request_id') return requestId !== undefined;
  return retry === 'after_delay' || retry === 'elsewhere';
}

async function once(
  world: World,
  random: Random,
  plan: WritePlan,
  course: Course,
): Promise<Attempted<Acknowledged>> {
  const attempted = await attempt(
    world,
    {
      op: plan.op,
      demand: undefined,
      hasRequestId: plan.requestId !== undefined,
      server: random.below(world.callers.length),
      timeoutMs: chooseTimeoutMs(random),
      cancelAfterMs: chooseCancelAfterMs(random),
    },
    plan.send,
  );
  note(course, attempted);
  return attempted;
}

function note(course: Course, attempted: Attempted<Acknowledged>): void {
  if ('value' in attempted) {
    // Known to the caller with the first answer.
    if (course.answers.length === 0) course.endMs = attempted.endMs;
    course.answers.push(attempted.value);
    return;
  }
  if (course.answers.length === 0) course.endMs = performance.now();
  if (attempted.isAnswer) course.isRejected = true;
  else course.isInDoubt ||= attempted.error.retry === 'same_request_id';
}

/** The same request at every server at once. */
async function twins(world: World, plan: WritePlan, course: Course): Promise<void> {
  const attempts = await Promise.all(
    world.callers.map((_, server) => {
      const { op } = plan;
      const options = { op, demand: undefined, hasRequestId: true, server, timeoutMs: 5_000 };
      return attempt(world, options, plan.send);
    }),
  );
  for (const attempted of attempts) note(course, attempted);
  const ends = attempts.flatMap((each) => ('value' in each ? [each.endMs] : []));
  if (ends.length > 0) course.endMs = Math.min(...ends);
}
