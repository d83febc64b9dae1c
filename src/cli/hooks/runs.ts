/** `stowage hooks runs`: the newest executions. */

import { Command } from 'commander';
import { type HookExecution, HookExecutionSchema, HookService } from '../../client/index.js';
import {
  type OutcomeOptions,
  outcomeOf,
  type WindowOptions,
  windowOf,
  withOutcome,
  withWindow,
} from '../audit/filter.js';
import { callService, type Surroundings } from '../call.js';
import { shortTime } from '../cells.js';
import { wholeNumber } from '../connection.js';
import { notEmpty, type ObjectOptions, withObjectOptions } from '../options.js';
import { print, widthOf } from '../output.js';
import { jsonLines, newestRows } from '../pages.js';
import { formatMs } from '../scan/format.js';
import { escapeText } from '../scan/names.js';
import { StreamedTable } from '../streamed-table.js';
import type { Column } from '../table.js';

interface RunsOptions extends ObjectOptions, WindowOptions, OutcomeOptions {
  readonly lines: number;
  readonly event?: string;
  readonly key?: string;
  readonly correlation?: string;
}

/** All are held at once, to be printed in the order of time. */
const linesMax = 10_000;

/** An execution's time as a person reads it; empty where it tells none. */
export function tookText(seconds: number | undefined): string {
  return seconds === undefined ? '' : formatMs(seconds * 1000);
}

const columns: readonly Column<HookExecution>[] = [
  { title: 'TIME', cell: ({ timestamp }) => shortTime(timestamp) },
  { title: 'HOOK', cell: ({ hookName }) => hookName },
  { title: 'EVENT', cell: ({ eventType }) => eventType },
  { title: 'RESULT', cell: ({ success }) => (success === false ? 'failed' : 'ok') },
  { title: 'TOOK', cell: ({ executionTime }) => tookText(executionTime), align: 'right' },
  { title: 'KEY', cell: ({ objectKey }) => objectKey },
];

const leastFirst = ['RESULT', 'TOOK'];

function failureLines({ success, errorMessage }: HookExecution): readonly string[] {
  if (success !== false) return [];
  const why = errorMessage === '' ? '' : `: ${escapeText(errorMessage)}`;
  return [`    failed${why}`];
}

function filterOf(hookName: string, options: RunsOptions) {
  const { event: eventType = '', key: objectKey = '', correlation: correlationId = '' } = options;
  const named = { hookName, eventType, objectKey, correlationId };
  return { ...named, ...outcomeOf(options), ...windowOf(options) };
}

/** Makes the sub-command. */
export function runsCommand({ defaults, shell }: Surroundings): Command {
  const command = new Command('runs')
    .description('show the newest executions, in the order of time')
    .argument('[name]', 'only of this hook', '')
    .option('-n, --lines <count>', 'so many', wholeNumber(1, linesMax), 20)
    .option('--event <kind>', 'only for this kind of event', notEmpty)
    .option('--key <key>', 'only for this object', notEmpty)
    .option('--correlation <id>', 'only with this correlation id', notEmpty);
  return withObjectOptions(withWindow(withOutcome(command)), defaults).action(
    async (hookName: string, options: RunsOptions) => {
      const { project, lines, json } = options;
      const filter = filterOf(hookName, options);
      const caller = { name: 'hooks', options, defaults, shell };
      await callService(HookService, caller, async (client) => {
        const { rows } = await newestRows<HookExecution>(async (page) => {
          const answer = await client.listExecutions({ project, filter, ...page });
          return [answer.executions, answer.nextPageToken];
        }, lines);
        const width = widthOf(shell.stdout);
        const table = new StreamedTable(columns, { width, leastFirst, below: failureLines });
        await print(shell.stdout, json ? jsonLines(HookExecutionSchema, rows) : table.lines(rows));
        if (rows.length === 0 && !json) shell.stderr.write('No execution matches.\n');
      });
    },
  );
}
