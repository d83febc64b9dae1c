/** `stowage audit`: who did what, looked at, exported, verified and kept no longer than wanted. */

import { Command } from 'commander';
import { activityCommand } from './audit/activity.js';
import { appendCommand } from './audit/append.js';
import { exportCommand } from './audit/export.js';
import { partitionsCommand } from './audit/partitions.js';
import { retainCommand } from './audit/retain.js';
import { tailCommand } from './audit/tail.js';
import { trailCommand } from './audit/trail.js';
import { verifyCommand } from './audit/verify.js';
import type { ClientDefaults } from './connection.js';
import type { Shell } from './output.js';

/** The command; `defaults` come from the environment. */
export function auditCommand(defaults: ClientDefaults, shell: Shell = process): Command {
  const command = new Command('audit').description('who did what, when and from where');
  const factories = [
    ...[tailCommand, trailCommand, activityCommand, appendCommand, exportCommand],
    ...[partitionsCommand, retainCommand, verifyCommand],
  ];
  for (const make of factories) command.addCommand(make({ defaults, shell }));
  return command;
}
