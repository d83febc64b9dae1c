/** Options that several commands have, and how their texts become values. */

import type { JsonObject } from '@bufbuild/protobuf';
import { type Command, InvalidArgumentError } from 'commander';
import {
  type ClientDefaults,
  type ConnectionOptions,
  wholeNumber,
  withConnectionOptions,
} from './connection.js';

/** The values of the options that every command has which prints what a server answers. */
export interface OutputOptions extends ConnectionOptions {
  readonly json: boolean;
}

/** The values of the options that every command on objects has. */
export interface ObjectOptions extends OutputOptions {
  readonly project: string;
}

/** Adds `--json`, `--server` and `--token`. */
export function withOutputOptions(command: Command, defaults: ClientDefaults): Command {
  command.option('--json', 'print JSON, for programs', false);
  return withConnectionOptions(command, defaults);
}

/** Adds `--project`, `--json`, `--server` and `--token`. */
export function withObjectOptions(command: Command, defaults: ClientDefaults): Command {
  command.option('--project <id>', 'the project', 'default');
  return withOutputOptions(command, defaults);
}

/** Reads what a `--limit` counts. */
export const limitNumber = wholeNumber(1, Number.MAX_SAFE_INTEGER);

/** Reads a JSON object. */
export function jsonObject(text: string): JsonObject {
  try {
    const value = JSON.parse(text) as JsonObject | readonly unknown[] | null;
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      return value as JsonObject;
    }
  } catch {
    // Said below, as for JSON that is no object.
  }
  throw new InvalidArgumentError('must be a JSON object.');
}

/** Refuses the empty text, which a server takes for "all". */
export function notEmpty(text: string): string {
  if (text === '') throw new InvalidArgumentError('must not be empty.');
  return text;
}
