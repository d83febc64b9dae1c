/** `stowage admin`: looks after the database behind a running server, and after the server. */

import { Command } from 'commander';
import { logLevelCommand } from './admin/log-level.js';
import { maintenanceCommands } from './admin/maintenance.js';
import { reportCommands } from './admin/reports.js';
import type { ClientDefaults } from './connection.js';
import type { Shell } from './output.js';

const help = `
Figures are those of the primary, or of --node. What a terminal is too narrow
for is cut there, and whole elsewhere (| less -S) and with --json. vacuum,
analyze and reindex wait for their end: Ctrl-C cancels, --detach does not wait.`;

/** The command; `defaults` come from the environment. */
export function adminCommand(defaults: ClientDefaults, shell: Shell = process): Command {
  const command = new Command('admin')
    .description('look after database and server: sizes, activity, health, maintenance')
    .addHelpText('after', help);
  for (const make of [...reportCommands, ...maintenanceCommands, logLevelCommand]) {
    command.addCommand(make({ defaults, shell }));
  }
  return command;
}
