/** `stowage audit activity`: what a user did within a window, by action. */

import { Command } from 'commander';
import {
  type ActionActivity,
  AuditService,
  type GetUserActivityResponse,
  GetUserActivityResponseSchema,
} from '../../client/index.js';
import { callService, longCall, type Surroundings, strong } from '../call.js';
import { shortTime } from '../cells.js';
import { fittedLines, type NamedColumns } from '../fitted-table.js';
import { notEmpty, type ObjectOptions, withObjectOptions } from '../options.js';
import { print, widthOf } from '../output.js';
import { jsonDocument } from '../pages.js';
import { formatBytes, formatCount } from '../scan/format.js';
import { type WindowOptions, windowOf, withWindow } from './filter.js';

type Row = Pick<ActionActivity, 'action' | 'events' | 'failures' | 'bytes'> &
  Partial<Pick<ActionActivity, 'firstSeen' | 'lastSeen'>>;

const columns: NamedColumns<Row> = [
  { title: 'ACTION', cell: ({ action }) => action },
  { title: 'EVENTS', cell: ({ events }) => formatCount(events), align: 'right' },
  { title: 'FAILED', cell: ({ failures }) => formatCount(failures), align: 'right' },
  {
    title: 'BYTES',
    cell: ({ bytes }) => (bytes === 0 ? '' : formatBytes(bytes)),
    align: 'right',
  },
  { title: 'FIRST', cell: ({ firstSeen }) => shortTime(firstSeen) },
  { title: 'LAST', cell: ({ lastSeen }) => shortTime(lastSeen) },
];

const leastFirst = ['FIRST', 'BYTES', 'LAST'];

/** The actions with their total. */
export function activityText(answer: GetUserActivityResponse, width: number): string {
  const rows: Row[] = [...answer.actions, { ...answer, action: 'total' }];
  return fittedLines(columns, rows, { width, leastFirst })
    .map((line) => `${line}\n`)
    .join('');
}

/** Makes the sub-command. */
export function activityCommand({ defaults, shell }: Surroundings): Command {
  const command = new Command('activity')
    .description('add up what a user did, by action; without --since in the last 7 days')
    .argument('<user>', "the user's id", notEmpty);
  return withObjectOptions(withWindow(command), defaults).action(
    async (userId: string, options: ObjectOptions & WindowOptions) => {
      const { project, json } = options;
      const caller = { name: 'audit', options, defaults, shell };
      await callService(AuditService, caller, async (client) => {
        const request = { project, userId, ...windowOf(options), freshness: strong };
        const answer = await client.getUserActivity(request, longCall);
        const text = () => activityText(answer, widthOf(shell.stdout));
        const isEmpty = answer.events === 0n;
        if (isEmpty && !json) shell.stderr.write('This user did nothing in that time.\n');
        const document = () => jsonDocument(GetUserActivityResponseSchema, answer);
        await print(shell.stdout, json ? document() : isEmpty ? '' : text());
        if (answer.limited && !json) {
          shell.stderr.write('Only the newest 1,000,000 events were counted: --since has fewer.\n');
        }
      });
    },
  );
}
