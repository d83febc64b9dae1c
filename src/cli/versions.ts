/** `stowage versions`: the versions of an object, the newest first. */

import { Command } from 'commander';
import { type ObjectVersion, ObjectVersionSchema, VersionService } from '../client/index.js';
import { callService, type Surroundings } from './call.js';
import { shortTime, sizeText } from './cells.js';
import type { ClientDefaults } from './connection.js';
import { limitNumber, notEmpty, type ObjectOptions, withObjectOptions } from './options.js';
import { print, type Shell, widthOf } from './output.js';
import { jsonLines, pagesOf } from './pages.js';
import { escapeText } from './scan/names.js';
import { StreamedTable } from './streamed-table.js';
import type { Column } from './table.js';

interface VersionsOptions extends ObjectOptions {
  readonly bytes: boolean;
  readonly limit?: number;
}

/** What it is beside an older content. */
function stateOf({ isLatest, deleteMarker }: ObjectVersion): string {
  return [...(isLatest ? ['latest'] : []), ...(deleteMarker ? ['deletion'] : [])].join(', ');
}

function columnsOf(isExact: boolean): readonly Column<ObjectVersion>[] {
  return [
    { title: 'VERSION', cell: ({ versionId }) => versionId },
    { title: 'LAST MODIFIED', cell: ({ lastModified }) => shortTime(lastModified) },
    {
      title: isExact ? 'BYTES' : 'SIZE',
      cell: ({ size, deleteMarker }) => (deleteMarker ? '-' : sizeText(size, isExact)),
      align: 'right',
    },
    { title: 'STATE', cell: stateOf },
    { title: 'BY', cell: ({ createdBy }) => createdBy },
    { title: 'ETAG', cell: ({ etag }) => etag },
  ];
}

const leastFirst = ['ETAG', 'BY', 'LAST MODIFIED'];

/** What somebody said of it; nothing in it acts on a terminal. */
function noteLines({ comment, tags, restoredFrom }: ObjectVersion): readonly string[] {
  const tagged = Object.entries(tags).map(([name, value]) => `${name}=${value}`);
  const origin = restoredFrom === '' ? [] : [`restored from ${restoredFrom}`];
  const lines = [...origin, ...(comment === '' ? [] : [comment]), tagged.join('  ')];
  return lines.filter((line) => line !== '').map((line) => `    ${escapeText(line)}`);
}

async function list(
  objectKey: string,
  options: VersionsOptions,
  { defaults, shell }: Surroundings,
) {
  const { project, json, bytes, limit } = options;
  const width = widthOf(shell.stdout);
  const table = new StreamedTable(columnsOf(bytes), { width, leastFirst, below: noteLines });
  await callService(
    VersionService,
    { name: 'versions', options, defaults, shell },
    async (client) => {
      const pages = pagesOf<ObjectVersion>(async (page) => {
        const answer = await client.listVersions({ project, objectKey, ...page });
        return [answer.versions, answer.nextPageToken];
      }, limit);
      for await (const { rows } of pages) {
        await print(shell.stdout, json ? jsonLines(ObjectVersionSchema, rows) : table.lines(rows));
      }
    },
  );
}

/** The command; `defaults` come from the environment. */
export function versionsCommand(defaults: ClientDefaults, shell: Shell = process): Command {
  const command = new Command('versions')
    .description('list the versions of an object, the newest first')
    .argument('<key>', 'of an object that is there or deleted', notEmpty)
    .option('--limit <count>', 'stop after as many', limitNumber)
    .option('--bytes', 'sizes to the byte', false);
  return withObjectOptions(command, defaults).action((key: string, options: VersionsOptions) =>
    list(key, options, { defaults, shell }),
  );
}
