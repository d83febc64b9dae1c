/** The options that say which events, and the filter that comes of them. */

import type { MessageInitShape } from '@bufbuild/protobuf';
import { type Command, Option } from 'commander';
import type { AuditFilterSchema } from '../../client/index.js';
import { notEmpty, type ObjectOptions } from '../options.js';
import { type PointInTime, pointInTime, timeForms } from '../times.js';

/** The values of the options that say which time. */
export interface WindowOptions {
  readonly since?: PointInTime;
  readonly until?: PointInTime;
}

/** The values of the options that say what became of something. */
export interface OutcomeOptions {
  readonly failed: boolean;
  readonly succeeded: boolean;
}

/** The values of the options that say which events. */
export interface FilterOptions extends ObjectOptions, WindowOptions, OutcomeOptions {
  readonly user?: string;
  readonly username?: string;
  readonly action?: string;
  readonly key?: string;
  readonly prefix?: string;
  readonly version?: string;
  readonly correlation?: string;
}

/** What ListEvents and ExportEvents take. */
export type Filter = Exclude<MessageInitShape<typeof AuditFilterSchema>, { $typeName: string }>;

/** Adds `--since` and `--until`. */
export function withWindow(command: Command): Command {
  return command
    .option('--since <time>', `at or after this: ${timeForms}`, pointInTime)
    .option('--until <time>', 'before this', pointInTime);
}

/** Adds `--failed` and `--succeeded`. */
export function withOutcome(command: Command): Command {
  return command
    .addOption(
      new Option('--failed', 'only what did not succeed').default(false).conflicts('succeeded'),
    )
    .option('--succeeded', 'only what succeeded', false);
}

/** Adds all that says which events. */
export function withFilter(command: Command): Command {
  command
    .option('--user <id>', 'only of this user', notEmpty)
    .option('--username <name>', 'only of the user by this name', notEmpty)
    .option('--action <name>', 'only this action, such as DOWNLOAD', notEmpty)
    .addOption(
      new Option('--key <key>', 'only of this object').argParser(notEmpty).conflicts('prefix'),
    )
    .option('--prefix <prefix>', 'only of keys that begin with this', notEmpty)
    .option('--version <id>', 'only of this version', notEmpty)
    .option('--correlation <id>', 'only with this correlation id', notEmpty);
  return withWindow(withOutcome(command));
}

/** The part of a filter that says which time. */
export function windowOf({ since, until }: WindowOptions) {
  return {
    ...(since === undefined ? {} : { startTime: since.time }),
    ...(until === undefined ? {} : { endTime: until.time }),
  };
}

/** The part of a filter that says what became of something. */
export function outcomeOf({ failed, succeeded }: OutcomeOptions) {
  return failed || succeeded ? { success: succeeded } : {};
}

/** The filter of these options. */
export function filterOf(options: FilterOptions): Filter {
  const { user: userId = '', username = '', action = '', key: objectKey = '' } = options;
  const { prefix: keyPrefix = '', version: versionId = '', correlation = '' } = options;
  return {
    ...{ userId, username, action, objectKey, keyPrefix, versionId, correlationId: correlation },
    ...outcomeOf(options),
    ...windowOf(options),
  };
}
