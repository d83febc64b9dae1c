/** Commands in this process, with streams of the test's own: a start of Node takes a second. */

import { PassThrough } from 'node:stream';
import { type Command, CommanderError } from 'commander';
import type { Shell } from '../../src/cli/output.js';

/** What a command printed and how it ended. */
export interface Ran {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Around a command. */
export interface Surroundings {
  /** Standard input and both outputs are a terminal. */
  readonly isTerminal?: boolean;
  /** What a person types. */
  readonly input?: string;
}

function stream(isTTY: boolean) {
  return Object.assign(new PassThrough({ highWaterMark: 1 << 24 }), { isTTY });
}

const textOf = (output: PassThrough): string => String(output.read() ?? '');

/** Runs a command with these arguments; a wrong command line is exit code 2 as in the program. */
export async function runCommand(
  make: (shell: Shell) => Command,
  args: readonly string[],
  { isTerminal = false, input = '' }: Surroundings = {},
): Promise<Ran> {
  const stdin = stream(isTerminal);
  const stdout = stream(isTerminal);
  const stderr = stream(isTerminal);
  stdin.end(input);
  const shell: Shell = { stdin, stdout, stderr, exitCode: 0 };
  const command = make(shell);
  for (const each of [command, ...command.commands]) {
    each.exitOverride().configureOutput({ writeErr: (text) => stderr.write(text) });
  }
  try {
    await command.parseAsync([...args], { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    shell.exitCode = error.exitCode === 0 ? 0 : 2;
  }
  return {
    exitCode: Number(shell.exitCode ?? 0),
    stdout: textOf(stdout),
    stderr: textOf(stderr),
  };
}
