/**
 * One round: callers and faults for a while in a project of its own, then peace, then the verdict.
 * Rounds share cluster and servers, so that what leaks adds up, and nothing else.
 */

import pg from 'pg';
import { StorageService } from '../../gen/stowage/v1/storage_service_pb.js';
import { pause } from '../../src/lib/wait.js';
import { createRandom, type Random } from '../support/random.js';
import { attempt, type World } from './attempt.js';
import { checkRound, type Verdict } from './checker.js';
import { atLeast } from './demands.js';
import type { FaultDriver } from './fault-driver.js';
import { readFinalState } from './final-state.js';
import type { Presented } from './history.js';
import type { HeldToken, Recorder } from './recorder.js';
import { DATABASE, type Rig } from './rig.js';
import type { Scraper } from './scraper.js';
import { Session } from './session.js';
import type { Settlement } from './settle.js';
import { planCreateProject } from './write-plans.js';
import { write } from './writer.js';

/** Callers at the same time. */
const SESSIONS = 14;

/** Keys of a round: few, so that callers meet. */
const KEYS = 120;

/** How long callers go on once the faults are mended. */
const PEACE_MS = 500;

/** What a round is run with. */
export interface RoundInput {
  readonly rig: Rig;
  readonly random: Random;
  readonly recorder: Recorder;
  readonly driver: FaultDriver;
  readonly settlement: Settlement;
  readonly scraper: Scraper;
  /** From 1. */
  readonly number: number;
  /** How long faults begin for. */
  readonly durationMs: number;
}

/** Runs one round. @throws {Error} when the rig fails, which is no verdict */
export async function runRound(input: RoundInput): Promise<Verdict> {
  const { rig, random, recorder, driver, settlement, scraper, number, durationMs } = input;
  recorder.begin();
  const stopping = new AbortController();
  const world: World = {
    project: `round-${number}`,
    keys: Array.from({ length: KEYS }, (_, at) => `key-${String(at).padStart(4, '0')}`),
    ...{ callers: rig.callers, recorder, surroundings: driver, stopping: stopping.signal },
  };
  await makeProject(world, random);
  await rig.cluster.waitUntilCaughtUp();
  const noFaults = AbortSignal.timeout(durationMs);
  const sessions = Array.from({ length: SESSIONS }, (_, at) =>
    new Session(world, createRandom(random.below(2 ** 32)), `s${number}-${at}`).run(),
  );
  const watching = [settlement.watch(stopping.signal), scraper.watch(stopping.signal)];
  const faults = driver
    .run(noFaults)
    .then(() => settlement.steady())
    .then(() => pause(PEACE_MS));
  await allOf([faults.finally(() => stopping.abort()), ...watching, ...sessions], stopping);
  await rig.cluster.waitUntilCaughtUp();
  await settlement.released();
  return judge(input, world);
}

/** Awaits all of them, so that none goes on behind a failure; the first one is thrown. */
async function allOf(parts: readonly Promise<void>[], stopping: AbortController): Promise<void> {
  const watched = parts.map((part) =>
    part.catch((error: unknown) => {
      stopping.abort();
      throw error;
    }),
  );
  for (const outcome of await Promise.allSettled(watched)) {
    if (outcome.status === 'rejected') throw outcome.reason;
  }
}

async function judge({ rig, recorder }: RoundInput, world: World): Promise<Verdict> {
  const { records, promotions } = recorder;
  const presented = await present(world);
  const client = new pg.Client({
    connectionString: rig.cluster.superuserUrl(undefined, DATABASE),
  });
  await client.connect();
  try {
    const final = await readFinalState(client, world.project);
    return checkRound({ records, promotions, final, presented });
  } finally {
    await client.end();
  }
}

async function makeProject(world: World, random: Random): Promise<void> {
  const answer = await write(world, random, planCreateProject(random, world.project));
  if (answer === undefined) throw new Error(`${world.project} could not be made`);
}

/** Presents tokens of the round's writes: the newest of each timeline, and those before them. */
async function present(world: World): Promise<Presented[]> {
  const { recorder } = world;
  const told = recorder.refusedTokens.map((position) => ({
    position,
    reason: 'TOKEN_HISTORY_LOST',
  }));
  const presented: Presented[] = [...told];
  for (const token of recorder.tokens) {
    presented.push(await presentOne(world, token));
  }
  return presented;
}

async function presentOne(world: World, token: HeldToken): Promise<Presented> {
  const { project, keys } = world;
  const { demand, request } = atLeast(token, false);
  const options = { op: 'present', demand: demand.kind, hasRequestId: false, timeoutMs: 5_000 };
  const read = { project, objectKeys: [keys[0] ?? ''], ...request };
  const attempted = await attempt(world, { ...options, server: 0 }, (caller, sent) =>
    caller.unary(StorageService.method.batchGetObjects, read, sent),
  );
  if ('error' in attempted) {
    return { position: token.position, reason: attempted.error.reason ?? 'no reason' };
  }
  return { position: token.position, reason: undefined };
}
