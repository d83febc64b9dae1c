/** `stowage audit trail`: what happened to a key, its changes, versions and events in one order. */

import { Command } from 'commander';
import {
  AuditService,
  type Change,
  type ObjectVersion,
  type TrailEntry,
  TrailEntrySchema,
} from '../../client/index.js';
import { callService, type Surroundings } from '../call.js';
import { exactTime, sizeText } from '../cells.js';
import { wholeNumber } from '../connection.js';
import { notEmpty, type ObjectOptions, withObjectOptions } from '../options.js';
import { print, widthOf } from '../output.js';
import { jsonLines, newestRows } from '../pages.js';
import { StreamedTable } from '../streamed-table.js';
import type { Column } from '../table.js';
import { failureLines, whoOf } from './events.js';

interface TrailOptions extends ObjectOptions {
  readonly lines: number;
}

/** All are held at once, to be printed in the order of time. */
const linesMax = 10_000;

/** Of an object its revision; what is a version's leaves that as it was. */
function changeText({ kind, revision, versionId, changedFields }: Change): string {
  const fields = changedFields.length === 0 ? '' : `: ${changedFields.join(', ')}`;
  return `${kind.startsWith('version.') ? versionId : `revision ${revision}`}${fields}`;
}

function versionText({ versionId, size, deleteMarker, restoredFrom }: ObjectVersion): string {
  if (deleteMarker) return `${versionId}, a delete marker`;
  const origin = restoredFrom === '' ? '' : `, restored from ${restoredFrom}`;
  return `${versionId}, ${sizeText(size, false)}${origin}`;
}

function whatOf({ entry }: TrailEntry): string {
  switch (entry.case) {
    case 'change':
      return entry.value.kind;
    case 'version':
      return 'version';
    case 'event':
      return entry.value.action;
    default:
      return '';
  }
}

function byOf({ entry }: TrailEntry): string {
  switch (entry.case) {
    case 'change':
      return entry.value.actor;
    case 'version':
      return entry.value.createdBy;
    case 'event':
      return whoOf(entry.value);
    default:
      return '';
  }
}

function detailOf({ entry }: TrailEntry): string {
  switch (entry.case) {
    case 'change':
      return changeText(entry.value);
    case 'version':
      return versionText(entry.value);
    case 'event':
      return [entry.value.ipAddress, entry.value.versionId]
        .filter((text) => text !== '')
        .join(', ');
    default:
      return '';
  }
}

const columns: readonly Column<TrailEntry>[] = [
  { title: 'TIME', cell: ({ time }) => exactTime(time) },
  { title: 'WHAT', cell: whatOf },
  { title: 'BY', cell: byOf },
  { title: 'DETAIL', cell: detailOf },
];

const belowLines = ({ entry }: TrailEntry): readonly string[] =>
  entry.case === 'event' ? failureLines(entry.value) : [];

/** Makes the sub-command. */
export function trailCommand({ defaults, shell }: Surroundings): Command {
  const command = new Command('trail')
    .description('show what happened to a key: changes, versions and events in order')
    .argument('<key>', 'of an object that is there, deleted or purged', notEmpty)
    .option('-n, --lines <count>', 'the newest so many', wholeNumber(1, linesMax), 50);
  return withObjectOptions(command, defaults).action(
    async (objectKey: string, options: TrailOptions) => {
      const { project, lines, json } = options;
      const caller = { name: 'audit', options, defaults, shell };
      await callService(AuditService, caller, async (client) => {
        const { rows, isMore } = await newestRows<TrailEntry>(async (page) => {
          const answer = await client.listObjectTrail({ project, objectKey, ...page });
          return [answer.entries, answer.nextPageToken];
        }, lines);
        const table = new StreamedTable(columns, {
          width: widthOf(shell.stdout),
          leastFirst: ['BY'],
          below: belowLines,
        });
        await print(shell.stdout, json ? jsonLines(TrailEntrySchema, rows) : table.lines(rows));
        if (json) return;
        if (rows.length === 0) shell.stderr.write('Nothing is known of this key.\n');
        if (isMore) shell.stderr.write(`These are the newest ${lines}: -n shows more.\n`);
      });
    },
  );
}
