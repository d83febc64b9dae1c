/** `stowage ls`: lists the objects of a running server, folded into folders. */

import { type JsonObject, toJson } from '@bufbuild/protobuf';
import { Command, Option } from 'commander';
import { StorageObjectSchema } from '../../gen/stowage/v1/storage_object_pb.js';
import { StorageService } from '../client/index.js';
import { callService } from './call.js';
import { shortTime, sizeText } from './cells.js';
import type { ClientDefaults } from './connection.js';
import { addComparison, type Comparison } from './objects/comparison.js';
import { type Entry, type ListCall, type ListRequest, listPages } from './objects/listing.js';
import {
  jsonObject,
  limitNumber,
  notEmpty,
  type ObjectOptions,
  withObjectOptions,
} from './options.js';
import { jsonText, print, type Shell } from './output.js';
import { escapeText } from './scan/names.js';
import { type Column, Table } from './table.js';

interface ListOptions extends ObjectOptions {
  readonly recursive: boolean;
  readonly bytes: boolean;
  readonly deleted: boolean;
  readonly sort: 'key' | 'modified' | 'size';
  readonly reverse: boolean;
  readonly backend?: string;
  readonly class?: string;
  readonly filter?: JsonObject;
  readonly where: readonly Comparison[];
  readonly limit?: number;
}

/** As ls(1) has it: names forwards, the newest and the largest first. */
const orders = {
  key: { usual: 'object_key', reverse: 'object_key desc' },
  modified: { usual: 'last_modified desc', reverse: 'last_modified' },
  size: { usual: 'size desc', reverse: 'size' },
} as const;

/** Whether everything below is listed: the service folds only forwards, and filters no folders. */
function isFlat(options: ListOptions): boolean {
  const { recursive, sort, reverse, where, filter, backend, deleted } = options;
  const { class: storageClass } = options;
  if (recursive || sort !== 'key' || reverse || where.length > 0) return true;
  if (filter !== undefined || storageClass !== undefined) return true;
  return backend !== undefined && deleted;
}

function requestOf(prefix: string, options: ListOptions): ListRequest {
  const { project, backend = '', class: storageClass = '', filter, where, sort } = options;
  // Comparisons bring an order of their own; the order of keys is what the service takes for none.
  const hasOrder = sort !== 'key' || options.reverse;
  return {
    project,
    prefix,
    storageBackend: backend,
    storageClass,
    showDeleted: options.deleted,
    delimiter: isFlat(options) ? '' : '/',
    orderBy: hasOrder ? orders[sort][options.reverse ? 'reverse' : 'usual'] : '',
    metadataComparisons: [...where],
    ...(filter === undefined ? {} : { metadataFilter: filter }),
  };
}

function columnsOf({ bytes, deleted }: ListOptions): readonly Column<Entry>[] {
  const state: Column<Entry> = {
    title: 'DELETED',
    cell: ({ object }) => shortTime(object?.deletedAt),
  };
  return [
    { title: 'LAST MODIFIED', cell: ({ object }) => shortTime(object?.lastModified) },
    {
      title: bytes ? 'BYTES' : 'SIZE',
      cell: ({ object }) => (object === undefined ? '-' : sizeText(object.size, bytes)),
      align: 'right',
    },
    { title: 'BACKEND', cell: ({ object }) => object?.storageBackend ?? '' },
    ...(deleted ? [state] : []),
    { title: 'KEY', cell: ({ key }) => key },
  ];
}

function jsonLine({ key, object }: Entry): string {
  const json = object === undefined ? { folder: key } : toJson(StorageObjectSchema, object);
  return `${jsonText(json)}\n`;
}

async function list(client: ListCall, prefix: string, options: ListOptions, shell: Shell) {
  const table = new Table(columnsOf(options));
  let isEmpty = true;
  for await (const entries of listPages(client, requestOf(prefix, options), options.limit)) {
    if (entries.length === 0) continue;
    isEmpty = false;
    const text = options.json ? entries.map(jsonLine).join('') : table.lines(entries);
    await print(shell.stdout, text);
  }
  if (isEmpty && !options.json) {
    const where = prefix === '' ? 'there' : `under ${escapeText(prefix)}`;
    shell.stderr.write(`Nothing is ${where}.\n`);
  }
}

/** The command; `defaults` come from the environment. */
export function lsCommand(defaults: ClientDefaults, shell: Shell = process): Command {
  const sort = new Option('--sort <field>', 'keys in order, the newest or the largest first')
    .choices(Object.keys(orders))
    .default('key');
  const command = new Command('ls')
    .description('list objects and folders')
    .argument('[prefix]', 'what keys begin with, such as photos/', '')
    .option('-r, --recursive', 'everything below, not folded at /', false)
    .addOption(sort)
    .option('--reverse', 'turn the order round', false)
    .option('--backend <name>', 'only this storage backend', notEmpty)
    .option('--class <name>', 'only this storage class', notEmpty)
    .option('--filter <json>', 'only where the metadata contains this object', jsonObject)
    .option('--where <comparison>', 'metadata.owner>=a, of an indexed path', addComparison, [])
    .option('--deleted', 'deleted objects too', false)
    .option('--limit <count>', 'stop after as many lines', limitNumber)
    .option('--bytes', 'sizes to the byte', false)
    .addHelpText(
      'after',
      '\nA prefix is not a folder: photos also lists photos-old/. Another order than' +
        '\nthe usual one, --class, --filter and --where list everything below, as -r' +
        '\ndoes. With --json each line is an object or a folder.',
    );
  return withObjectOptions(command, defaults).action(
    async (prefix: string, options: ListOptions) => {
      await callService(StorageService, { name: 'ls', options, defaults, shell }, (client) =>
        list(client, prefix, options, shell),
      );
    },
  );
}
