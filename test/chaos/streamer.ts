/**
 * Streams of the workload: of a round's project, whose keys change meanwhile, and of a large one
 * that nobody changes, now and then read so slowly that the server has to wait. What is cut is
 * resumed, at another server as well.
 */

import { StorageService } from '../../gen/stowage/v1/storage_service_pb.js';
import { pause } from '../../src/lib/wait.js';
import type { Random } from '../support/random.js';
import { attempt, type World } from './attempt.js';
import { type ChosenDemand, chooseDemand, positionOf } from './demands.js';
import type { Seen } from './history.js';
import { seenOf } from './read-plans.js';
import { StreamTally } from './stream-tally.js';

/** The project that nobody changes, and how many objects it has. */
export const STILL_PROJECT = 'still';
export const STILL_OBJECTS = 4_000;

const OPENINGS_MAX = 20;
const TIMEOUT_MS = 30_000;
const RETRY_DELAY_MS_MAX = 300;
const SLOW_MS_MAX = 2_500;

/** Streams a round's project and writes down what it saw. */
export async function streamRound(
  world: World,
  random: Random,
  chosen: ChosenDemand,
): Promise<void> {
  const { project, recorder, keys } = world;
  const seen: Seen[] = [];
  const showsDeleted = random.below(2) === 0;
  const startMs = performance.now();
  const stream = { op: 'stream', project, chosen, showsDeleted, isSlow: random.below(6) === 0 };
  const tally = await untilEnd(world, random, stream, seen);
  if (tally?.token === undefined) return;
  recorder.read({
    ...{ kind: 'read', op: 'stream', demand: chosen.demand, startMs, endMs: performance.now() },
    ...{ seen, covers: keys, showsDeleted, servedBy: '' },
    position: positionOf(tally.token),
  });
}

/** Streams the project that nobody changes: every object must come, once. */
export async function streamAll(world: World, random: Random): Promise<void> {
  const chosen = chooseDemand(random, undefined);
  const isSlow = random.below(3) === 0;
  const stream = { op: 'long stream', project: STILL_PROJECT, chosen, showsDeleted: false, isSlow };
  const tally = await untilEnd(world, random, stream, undefined);
  if (tally?.token === undefined || tally.items === STILL_OBJECTS) return;
  const detail = `${tally.items} of ${STILL_OBJECTS} came`;
  world.recorder.finding('a stream gives every unchanged key once', detail);
}

/** What is streamed. */
interface Streamed {
  readonly op: string;
  readonly project: string;
  readonly chosen: ChosenDemand;
  readonly showsDeleted: boolean;
  readonly isSlow: boolean;
}

/** Opens a stream and resumes it until it ends; undefined where it was given up. */
async function untilEnd(
  world: World,
  random: Random,
  stream: Streamed,
  seen: Seen[] | undefined,
): Promise<StreamTally | undefined> {
  const { op, chosen, isSlow } = stream;
  const tally = new StreamTally();
  world.recorder.asked(op, chosen.demand.kind);
  for (let opening = 1; opening <= OPENINGS_MAX && !world.stopping.aborted; opening += 1) {
    const attempted = await attempt(
      world,
      {
        ...{ op, demand: chosen.demand.kind, hasRequestId: false, token: chosen.token },
        ...{ isSlow, isStream: true },
        server: random.below(world.callers.length),
        timeoutMs: TIMEOUT_MS,
        cancelAfterMs: random.below(20) === 0 ? random.below(200) : undefined,
      },
      async (caller, options) => {
        const request = requestOf(stream, tally.resumeToken);
        const messages = caller.stream(StorageService.method.streamObjects, request, options);
        for await (const message of messages) {
          const { objects } = tally.take(message);
          seen?.push(...objects.map(seenOf));
          if (isSlow && random.below(8) === 0) await pause(random.below(SLOW_MS_MAX));
        }
      },
    );
    // A call may be cut behind its last word.
    if ('value' in attempted || tally.token !== undefined) return finished(world, stream, tally);
    const { reason, retryDelayMs = 50 } = attempted.error;
    // Of the token that was sent, or of what the stream has read itself.
    if (reason === 'TOKEN_HISTORY_LOST') return undefined;
    await pause(Math.min(retryDelayMs, RETRY_DELAY_MS_MAX));
  }
  return undefined;
}

function finished({ recorder }: World, { op }: Streamed, tally: StreamTally): StreamTally {
  if (tally.token === undefined) {
    recorder.finding('a stream ends with its summary', `${op}: it ended after ${tally.items}`);
  }
  for (const problem of tally.problems) recorder.finding('a stream adds up', `${op}: ${problem}`);
  return tally;
}

function requestOf({ project, showsDeleted, chosen }: Streamed, resumeToken: string) {
  return { project, resumeToken, showDeleted: showsDeleted, ...chosen.request };
}
