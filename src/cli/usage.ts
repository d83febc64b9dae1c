/** How a command line that is wrong ends. */

import type { Command } from 'commander';

/** What the shell is told of a wrong command line; 1 is for work that failed. */
const usageExitCode = 2;

/** Makes a command and all below it end the process with 2 for a wrong command line. */
export function exitOnUsage(command: Command): Command {
  command.exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : usageExitCode));
  for (const each of command.commands) {
    exitOnUsage(each);
  }
  return command;
}
