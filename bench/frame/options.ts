/** The arguments of `npm run bench`. */

import { parseArgs } from 'node:util';

/** What to run and how. */
export interface BenchOptions {
  /** Names in the order to run; all where none was named. */
  readonly lanes: readonly string[];
  /** File for the result; undefined: none. */
  readonly json: string | undefined;
  /** Measured repetitions of each subject; undefined: each lane's default. */
  readonly repetitions: number | undefined;
  /** Work of a repetition; undefined: each lane's default. */
  readonly rows: number | undefined;
  /** Standbys of the cluster; default 0: they would share the cores with what is measured. */
  readonly standbys: number;
  /** Folder for a CPU profile of the server; undefined: none. */
  readonly profile: string | undefined;
}

/** A mistake in the arguments, as a sentence for the person who made it. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

export const usage = `npm run bench -- [LANE...] [--json FILE] [--repetitions N] [--rows N]
                 [--standbys N] [--profile FOLDER]`;

/** @throws {UsageError} for an unknown lane or option, or a number that is none */
export function parseOptions(args: readonly string[], lanes: readonly string[]): BenchOptions {
  const { values, positionals } = parse(args);
  for (const name of positionals) {
    if (!lanes.includes(name)) {
      throw new UsageError(`there is no lane ${name}, only ${lanes.join(', ')}`);
    }
  }
  return {
    lanes: positionals.length === 0 ? lanes : [...new Set(positionals)],
    json: values.json,
    repetitions: givenNumber('repetitions', values.repetitions),
    rows: givenNumber('rows', values.rows),
    standbys: wholeNumber('standbys', values.standbys ?? '0', 0),
    profile: values.profile,
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        json: { type: 'string' },
        repetitions: { type: 'string' },
        rows: { type: 'string' },
        standbys: { type: 'string' },
        profile: { type: 'string' },
      },
    });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function givenNumber(name: string, text: string | undefined): number | undefined {
  return text === undefined ? undefined : wholeNumber(name, text, 1);
}

/** `10M` is ten million, `50k` fifty thousand. */
function wholeNumber(name: string, text: string, min: number): number {
  const [, digits = '', unit] = /^(\d{1,9})([kM]?)$/.exec(text) ?? [];
  const value = Number(digits) * (unit === 'M' ? 1_000_000 : unit === 'k' ? 1_000 : 1);
  if (digits === '' || value < min) {
    throw new UsageError(`--${name} must be a whole number from ${min} on, not ${text}`);
  }
  return value;
}
