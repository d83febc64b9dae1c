/** `stowage audit tail`: the newest events, and with `--follow` those that come. */

import { Command } from 'commander';
import {
  type AuditEvent,
  AuditEventSchema,
  AuditService,
  type Client,
} from '../../client/index.js';
import { callService, type Surroundings } from '../call.js';
import { wholeNumber } from '../connection.js';
import { withObjectOptions } from '../options.js';
import { print, type Shell } from '../output.js';
import { jsonLines, newestRows } from '../pages.js';
import { interruptedExitCode, stopOnSignal } from '../stop-signal.js';
import { eventTable } from './events.js';
import { type FilterOptions, filterOf, withFilter } from './filter.js';
import { followEvents, knownEvents } from './follow.js';

interface TailOptions extends FilterOptions {
  readonly lines: number;
  readonly follow: boolean;
}

/** Whether more are there is no news of the newest; these are all held at once. */
const linesMax = 10_000;

type Print = (events: readonly AuditEvent[]) => Promise<void>;

function printerOf({ json }: TailOptions, shell: Shell): Print {
  const table = eventTable(shell.stdout);
  return (events) =>
    print(shell.stdout, json ? jsonLines(AuditEventSchema, events) : table.lines(events));
}

async function tail(
  client: Client<typeof AuditService>,
  options: TailOptions,
  shell: Shell,
): Promise<void> {
  const { project, lines, json, follow, server } = options;
  const filter = filterOf(options);
  const show = printerOf(options, shell);
  const known = follow ? await knownEvents(client, { project, filter }) : undefined;
  const { rows } = await newestRows(async (page) => {
    const { events, nextPageToken } = await client.listEvents({ project, filter, ...page });
    return [events, nextPageToken];
  }, lines);
  await show(rows);
  if (known === undefined) {
    if (rows.length === 0 && lines > 0 && !json) shell.stderr.write('No event matches.\n');
    return;
  }
  known.add(rows);
  const stop = stopOnSignal(() => {
    shell.exitCode = interruptedExitCode;
  });
  const note = (sentence: string) => shell.stderr.write(`stowage audit: ${sentence}\n`);
  const { signal } = stop;
  try {
    await followEvents(client, { project, filter, known, show, note, server, signal });
  } finally {
    stop.release();
  }
}

/** Makes the sub-command. */
export function tailCommand({ defaults, shell }: Surroundings): Command {
  const command = new Command('tail')
    .description('show the newest events, in the order of time')
    .option('-n, --lines <count>', 'so many', wholeNumber(0, linesMax), 20)
    .option('-f, --follow', 'go on with those that come, until Ctrl-C', false);
  return withObjectOptions(withFilter(command), defaults).action(async (options: TailOptions) => {
    if (options.follow && options.until !== undefined) {
      command.error('error: --follow goes on for ever: leave --until out');
    }
    const caller = { name: 'audit', options, defaults, shell };
    await callService(AuditService, caller, (client) => tail(client, options, shell));
  });
}
