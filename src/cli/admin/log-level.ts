/** `stowage admin log-level`: how much the answering server logs, told or changed. */

import { Argument, Command } from 'commander';
import {
  AdminService,
  GetLogLevelResponseSchema,
  LogLevel,
  SetLogLevelResponseSchema,
} from '../../client/index.js';
import { callService, type Surroundings } from '../call.js';
import { type OutputOptions, withOutputOptions } from '../options.js';
import { explain, printAnswer } from './report-command.js';

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
      const caller = { name: 'admin', options, defaults, shell, explain };
      await callService(AdminService, caller, async (client) => {
        if (name === undefined) {
          const message = await client.getLogLevel({});
          const text = `${nameOf(message.level)}\n`;
          const shown = options.json ? undefined : () => ({ text });
          await printAnswer(shell, { schema: GetLogLevelResponseSchema, message }, shown);
          return;
        }
        const level = LogLevel[name.toUpperCase() as Level];
        const message = await client.setLogLevel({ level });
        const former = nameOf(message.formerLevel);
        const text = `the server logs at ${name} until it stops; it was ${former}\n`;
        const shown = options.json ? undefined : () => ({ text });
        await printAnswer(shell, { schema: SetLogLevelResponseSchema, message }, shown);
      });
    },
  );
}
