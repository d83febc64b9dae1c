/** `stowage admin log-level`: how much the answering server logs, told or changed. */

import { Argument, Command } from 'commander';
import {
  AdminService,
  GetLogLevelResponseSchema,
  LogLevel,
  SetLogLevelResponseSchema,
} from '../../client/index.js';
import type { Surroundings } from '../call.js';
import { type OutputOptions, withOutputOptions } from '../options.js';
import { callFor, printAnswer } from './report-command.js';

type Level = Exclude<keyof typeof LogLevel, 'UNSPECIFIED'>;

/** As the settings name it. */
const nameOf = (level: LogLevel): string => LogLevel[level]?.toLowerCase() ?? String(level);

const names = Object.keys(LogLevel)
  .filter((name) => Number.isNaN(Number(name)) && name !== 'UNSPECIFIED')
  .map((name) => name.toLowerCase());

/** Makes the sub-command. */
export function logLevelCommand({ defaults, shell }: Surroundings): Command {
  const command = new Command('log-level')
    .description('tell how much the answering server logs, or change it until it stops')
    .addArgument(new Argument('[level]', 'the new level').choices(names));
  return withOutputOptions(command, defaults).action(
    async (name: string | undefined, options: OutputOptions) => {
      const { json } = options;
      await callFor(AdminService, { options, defaults, shell }, async (client) => {
        if (name === undefined) {
          const message = await client.getLogLevel({});
          const answer = { schema: GetLogLevelResponseSchema, message };
          const text = `${nameOf(message.level)}\n`;
          await printAnswer({ shell, json }, answer, () => ({ text }));
          return;
        }
        const level = LogLevel[name.toUpperCase() as Level];
        const message = await client.setLogLevel({ level });
        const former = nameOf(message.formerLevel);
        const text = `the server logs at ${name} until it stops; it was ${former}\n`;
        const answer = { schema: SetLogLevelResponseSchema, message };
        await printAnswer({ shell, json }, answer, () => ({ text }));
      });
    },
  );
}
