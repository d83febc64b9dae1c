/** `stowage hooks`: who wants to be told, and how those who were told fared. */

import { Command } from 'commander';
import type { ClientDefaults } from './connection.js';
import {
  createCommand,
  deleteCommand,
  disableCommand,
  enableCommand,
  updateCommand,
} from './hooks/change.js';
import { logCommand } from './hooks/log.js';
import { runsCommand } from './hooks/runs.js';
import { getCommand, listCommand } from './hooks/show.js';
import { statsCommand } from './hooks/stats.js';
import type { Shell } from './output.js';

/** The command; `defaults` come from the environment. */
export function hooksCommand(defaults: ClientDefaults, shell: Shell = process): Command {
  const command = new Command('hooks').description('hooks, their executions and how they fare');
  command.addCommand(listCommand({ defaults, shell }), { isDefault: true });
  const factories = [
    ...[getCommand, createCommand, updateCommand, disableCommand, enableCommand, deleteCommand],
    ...[logCommand, runsCommand, statsCommand],
  ];
  for (const make of factories) command.addCommand(make({ defaults, shell }));
  return command;
}
