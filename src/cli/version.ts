/**
 * `stowage version`: restores, compares, annotates and deletes versions. Not sub-commands of
 * `versions`, whose argument is a key: an object may be called `restore`.
 */

import { Command } from 'commander';
import type { ClientDefaults } from './connection.js';
import type { Shell } from './output.js';
import { deleteCommand, editCommand, restoreCommand } from './versions/change.js';
import { diffCommand } from './versions/diff.js';
import { pruneCommand } from './versions/prune.js';

/** The command; `defaults` come from the environment. */
export function versionCommand(defaults: ClientDefaults, shell: Shell = process): Command {
  const command = new Command('version').description(
    'restore, compare, annotate, delete and prune versions',
  );
  const factories = [diffCommand, restoreCommand, editCommand, deleteCommand, pruneCommand];
  for (const make of factories) command.addCommand(make({ defaults, shell }));
  return command;
}
