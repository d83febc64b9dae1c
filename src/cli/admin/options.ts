/** Options of several commands of `stowage admin`, and how their texts become values. */

import { type Command, InvalidArgumentError } from 'commander';
import { wholeNumber } from '../connection.js';
import { notEmpty, type OutputOptions } from '../options.js';

/** The values of the options of a report on one node. */
export interface NodeOptions extends OutputOptions {
  /** Undefined: the primary, or any node where there is none. */
  readonly node?: string;
}

/** The values of the options of a list. */
export interface ListOptions extends NodeOptions {
  readonly limit: number;
}

/** Adds `--node`; `standard` is what is asked without it. */
export function withNode(command: Command, standard = 'the primary'): Command {
  return command.option('--node <name>', `host:port, instead of ${standard}`, notEmpty);
}

const limitMax = 1000;

/** Adds `--limit`. */
export function withLimit(command: Command, what: string, standard: number): Command {
  return command.option('--limit <count>', what, wholeNumber(1, limitMax), standard);
}

const unitsMs: Readonly<Record<string, number>> = { ms: 1, s: 1_000, min: 60_000, h: 3_600_000 };

/** As the service bounds it: a day. */
const durationMsMax = 86_400_000;

/** Reads a time such as `5s` in milliseconds. */
export function durationMs(text: string): number {
  const [, count = '', unit = ''] = /^(\d+(?:\.\d+)?) ?(ms|s|min|h)$/.exec(text) ?? [];
  const value = Math.round(Number(count) * (unitsMs[unit] ?? Number.NaN));
  // Zero is what the service takes for all.
  if (!(value >= 1 && value <= durationMsMax)) {
    throw new InvalidArgumentError('must be a time up to 24h, such as 500ms, 5s, 2min or 1h.');
  }
  return value;
}
