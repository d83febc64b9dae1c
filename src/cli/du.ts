/** `stowage du`: how much is under a prefix, by its folders; or what is there more than once. */

import { toJson } from '@bufbuild/protobuf';
import { Command, Option } from 'commander';
import {
  type FolderUsage,
  type GetUsageResponse,
  GetUsageResponseSchema,
} from '../../gen/stowage/v1/storage_list_pb.js';
import { StorageService } from '../client/index.js';
import { callService, longCall, strong } from './call.js';
import { sizeText } from './cells.js';
import type { ClientDefaults } from './connection.js';
import { printDuplicates } from './objects/duplicates.js';
import type { StorageClient } from './objects/long-work.js';
import { limitNumber, notEmpty, type ObjectOptions, withObjectOptions } from './options.js';
import { jsonText, print, type Shell } from './output.js';
import { formatCount } from './scan/format.js';
import { type Column, renderTable } from './table.js';

/** Groups of duplicates, unless told otherwise. */
const duplicatesShown = 20;

interface UsageOptions extends ObjectOptions {
  readonly duplicates: boolean;
  readonly limit?: number;
  readonly backend?: string;
  readonly sort: 'key' | 'size';
  readonly bytes: boolean;
}

type Row = Pick<FolderUsage, 'folder' | 'objects' | 'bytes'>;

function columnsOf(isExact: boolean): readonly Column<Row>[] {
  return [
    {
      title: isExact ? 'BYTES' : 'SIZE',
      cell: ({ bytes }) => sizeText(bytes, isExact),
      align: 'right',
    },
    { title: 'OBJECTS', cell: ({ objects }) => formatCount(objects), align: 'right' },
    { title: 'FOLDER', cell: ({ folder }) => folder },
  ];
}

/** The folders below the titles, and last the total, which counts what is in no folder too. */
export function usageTable(usage: GetUsageResponse, options: Pick<UsageOptions, 'sort' | 'bytes'>) {
  const folders = [...usage.folders];
  // The service gives them in the order of their keys; sorting is stable.
  if (options.sort === 'size') folders.sort((a, b) => Number(b.bytes - a.bytes));
  const { objects, bytes } = usage;
  return renderTable(columnsOf(options.bytes), [...folders, { folder: 'total', objects, bytes }]);
}

async function printUsage(client: StorageClient, prefix: string, given: Given): Promise<void> {
  const { options, shell } = given;
  const { project, backend: storageBackend = '', json } = options;
  const request = { project, prefix, storageBackend, delimiter: '/', freshness: strong };
  const usage = await client.getUsage(request, longCall);
  const document = () => `${jsonText(toJson(GetUsageResponseSchema, usage), 2)}\n`;
  await print(shell.stdout, json ? document() : usageTable(usage, options));
  if (!usage.truncated) return;
  const shown = formatCount(usage.folders.length);
  shell.stderr.write(`Only the first ${shown} folders are shown: a longer prefix has less.\n`);
}

interface Given {
  readonly options: UsageOptions;
  readonly shell: Shell;
}

/** The command; `defaults` come from the environment. */
export function duCommand(defaults: ClientDefaults, shell: Shell = process): Command {
  const sort = new Option('--sort <field>', 'by key, or the largest first')
    .choices(['key', 'size'])
    .default('key');
  const command = new Command('du')
    .description('count objects and bytes, in all and by folder; find duplicates')
    .argument('[prefix]', 'what keys begin with, such as photos/', '')
    .addOption(sort)
    .option('--backend <name>', 'only this storage backend', notEmpty)
    .option('--bytes', 'sizes to the byte', false)
    .option('--duplicates', 'what is there more than once, the largest first', false)
    .addOption(
      new Option(
        '--limit <count>',
        `with --duplicates: so many groups (default: ${duplicatesShown})`,
      ).argParser(limitNumber),
    );
  return withObjectOptions(command, defaults).action(
    async (prefix: string, options: UsageOptions) => {
      const { duplicates, limit = duplicatesShown } = options;
      if (!duplicates && options.limit !== undefined) {
        command.error('error: --limit is for --duplicates: a longer prefix shows fewer folders');
      }
      if (duplicates && command.getOptionValueSource('sort') === 'cli') {
        command.error('error: --sort is for folders: --duplicates has the largest first');
      }
      await callService(StorageService, { name: 'du', options, defaults, shell }, (client) =>
        duplicates
          ? printDuplicates(client, { ...options, limit, prefix }, shell)
          : printUsage(client, prefix, { options, shell }),
      );
    },
  );
}
