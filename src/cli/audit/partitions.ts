/** `stowage audit partitions`: the partitions of all projects, with their sizes and seals. */

import { Command, Option } from 'commander';
import {
  AuditService,
  ListPartitionsResponseSchema,
  type Partition,
  PartitionSource,
} from '../../client/index.js';
import { callService, type Surroundings, strong } from '../call.js';
import { exactTime } from '../cells.js';
import { fittedLines, type NamedColumns } from '../fitted-table.js';
import { type OutputOptions, withOutputOptions } from '../options.js';
import { print, widthOf } from '../output.js';
import { jsonDocument } from '../pages.js';
import { formatBytes, formatCount } from '../scan/format.js';

/** What is kept in partitions, as the commands name it. */
export const sources = {
  audit: PartitionSource.STORAGE_AUDIT,
  hooks: PartitionSource.STORAGE_HOOKS,
  changes: PartitionSource.STORAGE_CHANGES,
} as const;

interface PartitionsOptions extends OutputOptions {
  readonly source?: keyof typeof sources;
}

/** Midnights, which the bounds are, without their hour. */
const dayOf = (time: Partition['rangeStart']): string => exactTime(time).replace(/T00:00:00Z$/, '');

function sealText({ seals, sealedAt }: Partition): string {
  if (seals === 0) return '';
  const again = seals > 1 ? ` (${seals} times)` : '';
  return `${exactTime(sealedAt).slice(0, 10)}${again}`;
}

const columns: NamedColumns<Partition> = [
  { title: 'PARTITION', cell: ({ name }) => name },
  { title: 'FROM', cell: ({ rangeStart }) => dayOf(rangeStart) },
  { title: 'TO', cell: ({ rangeEnd }) => dayOf(rangeEnd) },
  { title: 'SIZE', cell: ({ sizeBytes }) => formatBytes(sizeBytes), align: 'right' },
  {
    title: 'ROWS',
    cell: ({ rowsEstimated: rows }) => (rows === undefined ? '' : `~${formatCount(rows)}`),
    align: 'right',
  },
  { title: 'SEALED', cell: sealText },
  { title: 'DELETED BEFORE', cell: ({ deletedBefore }) => dayOf(deletedBefore) },
];

const leastFirst = ['TO', 'DELETED BEFORE', 'ROWS', 'SEALED'];

/** The partitions as a table. */
export function partitionsText(partitions: readonly Partition[], width: number): string {
  const [name, ...others] = columns;
  const isCut = partitions.some(({ deletedBefore }) => deletedBefore !== undefined);
  const shown = others.filter(({ title }) => isCut || title !== 'DELETED BEFORE');
  return fittedLines([name, ...shown], partitions, { width, leastFirst })
    .map((line) => `${line}\n`)
    .join('');
}

/** Makes the sub-command. */
export function partitionsCommand({ defaults, shell }: Surroundings): Command {
  const source = new Option(
    '--source <table>',
    'only of the audit trail, hooks or the change feed',
  );
  const command = new Command('partitions')
    .description('list the partitions of all projects, with their sizes and seals')
    .addOption(source.choices(Object.keys(sources)));
  return withOutputOptions(command, defaults).action(async (options: PartitionsOptions) => {
    const caller = { name: 'audit', options, defaults, shell };
    await callService(AuditService, caller, async (client) => {
      const of = options.source === undefined ? {} : { source: sources[options.source] };
      const answer = await client.listPartitions({ ...of, freshness: strong });
      const text = () => partitionsText(answer.partitions, widthOf(shell.stdout));
      const document = () => jsonDocument(ListPartitionsResponseSchema, answer);
      await print(shell.stdout, options.json ? document() : text());
    });
  });
}
