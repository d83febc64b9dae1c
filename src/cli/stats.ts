/** `stowage stats`: the figures of a project, and how well each is known. */

import { toJson } from '@bufbuild/protobuf';
import { Command } from 'commander';
import {
  type Figure,
  type GetStatisticsResponse,
  GetStatisticsResponseSchema,
} from '../../gen/stowage/v1/storage_report_pb.js';
import { StorageService } from '../client/index.js';
import { callService, longCall, strong } from './call.js';
import { sizeText } from './cells.js';
import type { ClientDefaults } from './connection.js';
import { type ObjectOptions, withObjectOptions } from './options.js';
import { jsonText, print, type Shell } from './output.js';
import { formatCount } from './scan/format.js';
import { type Column, renderTable } from './table.js';

interface StatisticsOptions extends ObjectOptions {
  readonly bytes: boolean;
}

function figureText(figure: Figure | undefined, show: (value: bigint) => string): string {
  if (figure === undefined) return '';
  return figure.exact ? show(figure.value) : `~${show(figure.value)}`;
}

interface Row {
  readonly storageBackend: string;
  readonly objects?: Figure | undefined;
  readonly bytes?: Figure | undefined;
}

function columnsOf(isExact: boolean): readonly Column<Row>[] {
  return [
    { title: 'BACKEND', cell: ({ storageBackend }) => storageBackend },
    { title: 'OBJECTS', cell: ({ objects }) => figureText(objects, formatCount), align: 'right' },
    {
      title: isExact ? 'BYTES' : 'SIZE',
      cell: ({ bytes }) => figureText(bytes, (value) => sizeText(value, isExact)),
      align: 'right',
    },
  ];
}

type Line = readonly [name: string, figure: Figure | undefined];

const figureColumns: readonly Column<Line>[] = [
  { title: 'FIGURE', cell: ([name]) => name },
  { title: 'COUNT', cell: ([, figure]) => figureText(figure, formatCount), align: 'right' },
];

/** Backends with their total, then the other figures, then what the mark of an estimate means. */
export function statisticsText(statistics: GetStatisticsResponse, isExact: boolean): string {
  const { backends, objects, bytes } = statistics;
  const rows = [...backends, { storageBackend: 'total', objects, bytes }];
  const table = renderTable(columnsOf(isExact), rows);
  const others: readonly Line[] = [
    ['versions', statistics.versions],
    ['audit events, last 24 h', statistics.auditEvents24h],
    ['hook executions, last 24 h', statistics.hookExecutions24h],
  ];
  const figures = [
    ...[objects, bytes, ...others.map(([, figure]) => figure)],
    ...backends.flatMap((backend) => [backend.objects, backend.bytes]),
  ];
  const isEstimated = figures.some((figure) => figure?.exact === false);
  const note = isEstimated ? '\n~ estimated from a sample\n' : '';
  return `${table}\n${renderTable(figureColumns, others)}${note}`;
}

/** The command; `defaults` come from the environment. */
export function statsCommand(defaults: ClientDefaults, shell: Shell = process): Command {
  const command = new Command('stats')
    .description('figures of a project: objects by backend, versions, events')
    .option('--bytes', 'sizes to the byte', false);
  return withObjectOptions(command, defaults).action(async (options: StatisticsOptions) => {
    const { project, json, bytes } = options;
    const caller = { name: 'stats', options, defaults, shell };
    await callService(StorageService, caller, async (client) => {
      const statistics = await client.getStatistics({ project, freshness: strong }, longCall);
      const document = () => `${jsonText(toJson(GetStatisticsResponseSchema, statistics), 2)}\n`;
      await print(shell.stdout, json ? document() : statisticsText(statistics, bytes));
    });
  });
}
