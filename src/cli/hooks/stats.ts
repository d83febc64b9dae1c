/** `stowage hooks stats`: how hooks fared within the last hours. */

import { Command } from 'commander';
import {
  GetHookStatisticsResponseSchema,
  HookService,
  type HookStatistics,
} from '../../client/index.js';
import { callService, longCall, type Surroundings, strong } from '../call.js';
import { shortTime } from '../cells.js';
import { wholeNumber } from '../connection.js';
import { fittedLines, type NamedColumns } from '../fitted-table.js';
import { notEmpty, type ObjectOptions, withObjectOptions } from '../options.js';
import { print, widthOf } from '../output.js';
import { jsonDocument } from '../pages.js';
import { formatCount, formatPlural } from '../scan/format.js';
import { escapeText } from '../scan/names.js';
import { tookText } from './runs.js';

interface StatsOptions extends ObjectOptions {
  readonly hours: number;
  readonly event?: string;
}

const columns: NamedColumns<HookStatistics> = [
  { title: 'HOOK', cell: ({ hookName }) => hookName },
  { title: 'EVENT', cell: ({ eventType }) => eventType },
  { title: 'RUNS', cell: ({ totalExecutions: runs }) => formatCount(runs), align: 'right' },
  { title: 'FAILED', cell: ({ failed }) => formatCount(failed), align: 'right' },
  { title: 'MEAN', cell: ({ avgExecutionTime: mean }) => tookText(mean), align: 'right' },
  { title: 'P50', cell: ({ p50ExecutionTime: p50 }) => tookText(p50), align: 'right' },
  { title: 'P95', cell: ({ p95ExecutionTime: p95 }) => tookText(p95), align: 'right' },
  { title: 'P99', cell: ({ p99ExecutionTime: p99 }) => tookText(p99), align: 'right' },
  { title: 'LAST RUN', cell: ({ lastRunAt }) => shortTime(lastRunAt) },
];

const leastFirst = ['LAST RUN', 'MEAN', 'P50', 'P99'];

function errorLines({ lastError, lastErrorAt, failed }: HookStatistics): readonly string[] {
  if (failed === 0n) return [];
  const why = lastError === '' ? '' : `: ${escapeText(lastError)}`;
  return [`    failed last at ${shortTime(lastErrorAt)}${why}`];
}

/** Makes the sub-command. */
export function statsCommand({ defaults, shell }: Surroundings): Command {
  const command = new Command('stats')
    .description('add up how hooks fared, by hook and kind of event')
    .argument('[name]', 'only of this hook', '')
    .option('--hours <count>', 'of so many hours, to now', wholeNumber(1, 8_784), 24)
    .option('--event <kind>', 'only for this kind of event', notEmpty);
  return withObjectOptions(command, defaults).action(
    async (hookName: string, options: StatsOptions) => {
      const { project, json, hours, event: eventType = '' } = options;
      const caller = { name: 'hooks', options, defaults, shell };
      await callService(HookService, caller, async (client) => {
        const request = { project, hours, hookName, eventType, freshness: strong };
        const answer = await client.getHookStatistics(request, longCall);
        if (json) {
          await print(shell.stdout, jsonDocument(GetHookStatisticsResponseSchema, answer));
          return;
        }
        const { statistics, limited } = answer;
        const narrowing = { width: widthOf(shell.stdout), leastFirst, below: errorLines };
        const lines = statistics.length === 0 ? [] : fittedLines(columns, statistics, narrowing);
        await print(shell.stdout, lines.map((line) => `${line}\n`).join(''));
        const window = formatPlural(hours, 'hour', 'hours');
        if (lines.length === 0) shell.stderr.write(`No hook ran in the last ${window}.\n`);
        if (limited) shell.stderr.write('Only the newest 1,000,000 executions were counted.\n');
      });
    },
  );
}
