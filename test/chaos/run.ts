/** A whole run: rounds one after another until the time is up or a promise is broken. */

import { createRandom, type Random } from '../support/random.js';
import { FaultDriver } from './fault-driver.js';
import { HaManager } from './ha-manager.js';
import type { Violation } from './history.js';
import { Recorder } from './recorder.js';
import { Rig } from './rig.js';
import { runRound } from './round.js';
import { Scraper } from './scraper.js';
import { Settlement } from './settle.js';
import { fillStillProject } from './still-project.js';

/** What to run. */
export interface RunInput {
  readonly seed: number;
  readonly durationMs: number;
  /** The length of a round, at most. */
  readonly roundMsMax: number;
  /** The planted bug of the servers, if any. */
  readonly mutant?: string;
  /** How the rules begin whose violations end the run; default: all of them do. */
  readonly rules?: readonly string[];
  /** Takes a line of progress. */
  readonly print: (line: string) => void;
}

/** What a run came to. */
export interface RunResult {
  readonly durationMs: number;
  readonly rounds: number;
  readonly recorder: Recorder;
  readonly settlement: Settlement;
  readonly scraper: Scraper;
  readonly lostWithTail: number;
  /** Of the round that ended the run; none: every promise was kept. */
  readonly violations: readonly Violation[];
}

const ROUND_MS_MIN = 4_000;
const PROGRESS_MS = 5_000;

/** Runs until the time is up, or the first round that breaks a promise. */
export async function runChaos(input: RunInput): Promise<RunResult> {
  const { seed, durationMs, mutant, rules = [''], print } = input;
  const random = createRandom(seed);
  const fork = (): Random => createRandom(random.below(2 ** 32));
  const rig = await Rig.start(mutant);
  let violations: readonly Violation[] = [];
  try {
    const recorder = new Recorder();
    const manager = new HaManager(rig.cluster, recorder);
    const driver = new FaultDriver({ rig, manager, random: fork() }, recorder);
    const settlement = new Settlement(rig, recorder);
    const scraper = new Scraper(rig.servers, recorder);
    await fillStillProject(rig);
    const beginMs = performance.now();
    const result = { recorder, settlement, scraper, rounds: 0, lostWithTail: 0 };
    const ticker = setInterval(() => print(progress(result, driver, beginMs)), PROGRESS_MS);
    try {
      for (let left = durationMs; left > 0 && violations.length === 0; ) {
        const roundMs = Math.ceil(Math.min(left, roundLength(random, input.roundMsMax)));
        const parts = { rig, recorder, driver, settlement, scraper, number: result.rounds + 1 };
        const verdict = await runRound({ ...parts, random: fork(), durationMs: roundMs });
        violations = verdict.violations.filter(({ rule }) =>
          rules.some((beginning) => rule.startsWith(beginning)),
        );
        result.rounds += 1;
        result.lostWithTail += verdict.lostWithTail;
        left = durationMs - (performance.now() - beginMs);
      }
      return { ...result, violations, durationMs: performance.now() - beginMs };
    } finally {
      clearInterval(ticker);
    }
  } finally {
    const keepsLogs = violations.length > 0 && mutant === undefined;
    await rig.stop(keepsLogs);
    if (keepsLogs) print(`logs of the servers: ${rig.folder}`);
  }
}

function roundLength(random: Random, roundMsMax: number): number {
  return Math.min(ROUND_MS_MIN, roundMsMax) + random.below(Math.max(1, roundMsMax - ROUND_MS_MIN));
}

function progress(
  { recorder, rounds }: Pick<RunResult, 'recorder' | 'rounds'>,
  { underWay }: FaultDriver,
  beginMs: number,
): string {
  const seconds = (performance.now() - beginMs) / 1_000;
  const operations = total(recorder.operations);
  const rate = (operations / seconds).toFixed(0);
  const faults = total(recorder.faults);
  const counts = `${operations} operations (${rate}/s), ${faults} faults`;
  const now = underWay.length === 0 ? '' : `; now: ${underWay.join(', ')}`;
  return `${seconds.toFixed(0).padStart(5)} s  round ${rounds + 1}: ${counts}${now}`;
}

/** The sum of counts. */
export function total(counts: ReadonlyMap<string, number>): number {
  return [...counts.values()].reduce((sum, count) => sum + count, 0);
}
