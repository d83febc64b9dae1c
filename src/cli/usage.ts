/** How a command line that is wrong ends, and how help reads. */

import { type Argument, type Command, Help, type Option } from 'commander';

/** What the shell is told of a wrong command line; 1 is for work that failed. */
const usageExitCode = 2;

/** Whether a default is what everybody expects of an option that is not given. */
function isPlain({ defaultValue }: Option | Argument): boolean {
  return defaultValue === false || String(defaultValue) === '';
}

/** The usual help, without defaults that say nothing. */
const help = {
  optionDescription(this: Help, option: Option): string {
    return isPlain(option)
      ? option.description
      : Help.prototype.optionDescription.call(this, option);
  },
  argumentDescription(this: Help, argument: Argument): string {
    return isPlain(argument)
      ? argument.description
      : Help.prototype.argumentDescription.call(this, argument);
  },
};

/** Makes a command and all below it end with 2 for a wrong command line; they get their help. */
export function withUsage(command: Command): Command {
  command.configureHelp(help);
  command.exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : usageExitCode));
  for (const each of command.commands) {
    withUsage(each);
  }
  return command;
}
