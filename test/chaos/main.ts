/**
 * `npm run test:chaos`: a random workload and random faults against two servers on a real cluster,
 * judged round by round. Ends by itself; the exit code is 1 where a promise was broken.
 */

import { runMutants } from './mutant-runs.js';
import { type ChaosOptions, parseOptions, UsageError, usage } from './options.js';
import { describeViolations, summary } from './report.js';
import { runChaos } from './run.js';

const MINUTE_MS = 60_000;
const ROUND_MS_MAX = 25_000;

const print = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

/** @returns the exit code */
async function run({ minutes, seed, mutants }: ChaosOptions): Promise<number> {
  print(`seed ${seed}`);
  if (mutants) {
    const escaped = await runMutants(seed, print);
    print(escaped.length === 0 ? 'every mutant was caught' : `got away: ${escaped.join(', ')}`);
    return escaped.length === 0 ? 0 : 1;
  }
  const input = { seed, durationMs: minutes * MINUTE_MS, roundMsMax: ROUND_MS_MAX, print };
  const result = await runChaos(input);
  print(summary(seed, result));
  if (result.violations.length === 0) {
    print('every promise was kept');
    return 0;
  }
  print(describeViolations(result.violations));
  return 1;
}

try {
  process.exitCode = await run(parseOptions(process.argv.slice(2)));
} catch (error) {
  print(
    error instanceof UsageError ? `${error.message}\n\n${usage}` : String((error as Error).stack),
  );
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
