/** Runs the servers with each planted bug: the checker must find every one, by the right rule. */

import { type MutantName, mutants } from '../mutants/index.js';
import { runChaos } from './run.js';

const DURATION_MS = 60_000;

/** Short rounds: a verdict is given behind each. */
const ROUND_MS = 3_000;

/** How the rules begin that a planted bug breaks. */
const rules: Readonly<Record<MutantName, readonly string[]>> = {
  'dropped-ack': ['no acknowledged write is lost', 'a state was written', 'a change raises'],
  'stale-read': ['no read is older than it demands'],
  'write-twice': ['no write is applied twice', 'a claim is a request'],
  'leaked-lease': ['no lease is leaked', 'no backend is left in a transaction'],
};

/** Runs each mutant. @returns the names of those that got away */
export async function runMutants(
  seed: number,
  print: (line: string) => void,
): Promise<MutantName[]> {
  const escaped: MutantName[] = [];
  for (const mutant of Object.keys(mutants) as MutantName[]) {
    const { violations, durationMs } = await runChaos({
      ...{ seed, durationMs: DURATION_MS, roundMsMax: ROUND_MS, mutant, print },
      rules: rules[mutant],
    });
    const seconds = (durationMs / 1_000).toFixed(1);
    const [caught] = violations;
    if (caught !== undefined && durationMs <= DURATION_MS) {
      print(`${mutant}: caught after ${seconds} s by "${caught.rule}": ${caught.detail}`);
      continue;
    }
    print(`${mutant}: NOT CAUGHT within ${seconds} s`);
    escaped.push(mutant);
  }
  return escaped;
}
