/** The arguments of `npm run test:chaos`. */

import { parseArgs } from 'node:util';

/** What to run. */
export interface ChaosOptions {
  /** How long faults happen for. */
  readonly minutes: number;
  readonly seed: number;
  /** Whether the planted bugs are run in place of the sound server. */
  readonly mutants: boolean;
}

/** A mistake in the arguments, as a sentence for the person who made it. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

export const usage = `npm run test:chaos -- [--minutes N] [--seed S]
npm run test:chaos -- --mutants [--seed S]`;

const SEEDS = 2 ** 32;

/** @throws {UsageError} for an unknown option, or a number that is none */
export function parseOptions(args: readonly string[]): ChaosOptions {
  const { minutes = '2', seed, mutants = false } = parse(args);
  if (!/^\d{1,4}(\.\d{1,3})?$/.test(minutes) || Number(minutes) === 0) {
    throw new UsageError(`--minutes must be a number above 0, not ${minutes}`);
  }
  const seedText = seed ?? String(Math.floor(Math.random() * SEEDS));
  if (!/^\d{1,10}$/.test(seedText) || Number(seedText) >= SEEDS) {
    throw new UsageError(`--seed must be a whole number below 2^32, not ${seedText}`);
  }
  return { minutes: Number(minutes), seed: Number(seedText), mutants };
}

function parse(args: readonly string[]) {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        minutes: { type: 'string' },
        seed: { type: 'string' },
        mutants: { type: 'boolean' },
      },
    });
    return values;
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}
