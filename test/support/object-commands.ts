/** The commands on objects, over a door whose handlers a test brings. */

import { duCommand } from '../../src/cli/du.js';
import { getCommand } from '../../src/cli/get.js';
import { lsCommand } from '../../src/cli/ls.js';
import { mvCommand } from '../../src/cli/mv.js';
import type { Shell } from '../../src/cli/output.js';
import { rmCommand } from '../../src/cli/rm.js';
import { searchCommand } from '../../src/cli/search.js';
import { statsCommand } from '../../src/cli/stats.js';
import type { StorageHandlers } from './doors.js';
import { type Ran, runCommand, type Surroundings } from './shell.js';
import { openStorageDoor } from './storage-door.js';

const commands = {
  ls: lsCommand,
  get: getCommand,
  search: searchCommand,
  rm: rmCommand,
  mv: mvCommand,
  du: duCommand,
  stats: statsCommand,
};

/** A command's name and its arguments. */
export type CommandLine = readonly [name: keyof typeof commands, ...args: string[]];

/** Runs a command against a server, in this process. */
export function runAt(
  server: string,
  [name, ...args]: CommandLine,
  surroundings?: Surroundings,
): Promise<Ran> {
  return runCommand((shell: Shell) => commands[name]({ server }, shell), args, surroundings);
}

/** Runs a command against these handlers. */
export async function runOver(
  handlers: StorageHandlers,
  line: CommandLine,
  surroundings?: Surroundings,
): Promise<Ran> {
  await using door = await openStorageDoor(handlers);
  return await runAt(door.address, line, surroundings);
}

/** The lines of a text that ends with a line's end. */
export const linesOf = (text: string): string[] => text.split('\n').slice(0, -1);
