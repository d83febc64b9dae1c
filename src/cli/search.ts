/** `stowage search`: finds objects by words, or keys by a part or likeness, the best first. */

import { toJson } from '@bufbuild/protobuf';
import { Command, Option } from 'commander';
import {
  type SearchHit,
  SearchHitSchema,
  type SearchObjectsResponse,
  SearchSyntax,
} from '../../gen/stowage/v1/storage_search_pb.js';
import { type CallError, type Client, StorageService } from '../client/index.js';
import { callService, strong } from './call.js';
import { shortTime, sizeText } from './cells.js';
import type { ClientDefaults } from './connection.js';
import { displayWidth } from './display-width.js';
import { limitNumber, notEmpty, type ObjectOptions, withObjectOptions } from './options.js';
import { jsonText, type Output, print, type Shell } from './output.js';
import { escapeText } from './scan/names.js';
import { type Column, Table } from './table.js';

const syntaxes = {
  web: SearchSyntax.WEB,
  tsquery: SearchSyntax.TSQUERY,
  substring: SearchSyntax.KEY_SUBSTRING,
  similar: SearchSyntax.KEY_SIMILAR,
} as const;

interface SearchOptions extends ObjectOptions {
  readonly syntax: keyof typeof syntaxes;
  readonly prefix: string;
  readonly backend?: string;
  readonly limit: number;
}

const pageSizeMax = 200;

const columns: readonly Column<SearchHit>[] = [
  { title: 'SCORE', cell: ({ score }) => score.toFixed(4), align: 'right' },
  { title: 'LAST MODIFIED', cell: ({ object }) => shortTime(object?.lastModified) },
  { title: 'SIZE', cell: ({ object }) => sizeText(object?.size ?? 0n, false), align: 'right' },
  { title: 'KEY', cell: ({ object }) => object?.objectKey ?? '' },
];

/** The text that matched, below its hit; bold instead of marked on a terminal that has it. */
function highlightLines({ highlight, object }: SearchHit, output: Output): readonly string[] {
  // That the key matched is seen on the line above.
  const isKey = highlight.replace(/[«»]/g, '') === object?.objectKey;
  if (highlight === '' || isKey) return [];
  const text = escapeText(highlight);
  const isBold = output.isTTY === true && output.hasColors?.() !== false;
  const shown = isBold ? text.replace(/«([^»]*)»/g, '\u001b[1m$1\u001b[22m') : text;
  return [`${' '.repeat(8)}${shown}`];
}

/** The query with a caret below the place that cannot be read; `position` counts from 1. */
export function pointAt(query: string, position: number): readonly string[] {
  const before = Array.from(query).slice(0, position - 1);
  const indent = ' '.repeat(displayWidth(escapeText(before.join(''))));
  return [`  ${escapeText(query)}`, `  ${indent}^`];
}

function explain(query: string, { metadata }: CallError): readonly string[] {
  const position = Number(metadata['position']);
  return position >= 1 ? pointAt(query, position) : [];
}

type SearchCall = Pick<Client<typeof StorageService>, 'searchObjects'>;

async function* searchPages(
  client: SearchCall,
  query: string,
  options: SearchOptions,
): AsyncGenerator<SearchObjectsResponse, void, void> {
  const { project, prefix, backend = '', limit, syntax } = options;
  const request = { project, query, prefix, storageBackend: backend, syntax: syntaxes[syntax] };
  let left = limit;
  let pageToken = '';
  do {
    const pageSize = Math.min(left, pageSizeMax);
    const page = await client.searchObjects({
      ...request,
      pageSize,
      pageToken,
      highlight: true,
      freshness: strong,
    });
    left -= page.hits.length;
    pageToken = page.nextPageToken;
    yield page;
  } while (pageToken !== '' && left > 0);
}

function textOf(hits: readonly SearchHit[], table: Table<SearchHit>, output: Output): string {
  return hits.length === 0 ? '' : table.lines(hits, (hit) => highlightLines(hit, output));
}

function jsonOf(hits: readonly SearchHit[]): string {
  return hits.map((hit) => `${jsonText(toJson(SearchHitSchema, hit))}\n`).join('');
}

async function search(client: SearchCall, query: string, options: SearchOptions, shell: Shell) {
  const table = new Table(columns);
  let count = 0;
  let last: SearchObjectsResponse | undefined;
  for await (const page of searchPages(client, query, options)) {
    const { hits } = page;
    count += hits.length;
    last = page;
    await print(shell.stdout, options.json ? jsonOf(hits) : textOf(hits, table, shell.stdout));
  }
  const notes = [
    ...(count === 0 ? ['Nothing matches.'] : []),
    ...(last?.nextPageToken ? [`More match than these ${count}: --limit shows more.`] : []),
    ...(last?.truncated
      ? ['So many match that not all were ranked: more words, or --prefix, find the best ones.']
      : []),
  ];
  shell.stderr.write(notes.map((note) => `${note}\n`).join(''));
}

/** The command; `defaults` come from the environment. */
export function searchCommand(defaults: ClientDefaults, shell: Shell = process): Command {
  const syntax = new Option('--syntax <syntax>', 'how the query is read')
    .choices(Object.keys(syntaxes))
    .default('web');
  const command = new Command('search')
    .description('find objects by the words of their keys, types and metadata')
    .argument('<query...>', 'several words need not be quoted')
    .addOption(syntax)
    .option('--prefix <prefix>', 'only keys that begin with this', '')
    .option('--backend <name>', 'only this storage backend', notEmpty)
    .option('--limit <count>', 'the best so many', limitNumber, 50)
    .addHelpText(
      'after',
      '\nSyntax: web (all words, "a phrase", or, -not), tsquery (invoice & (tax | vat)),' +
        '\n        substring (a part of the key), similar (keys like it).' +
        '\nA word that begins with - stands behind --. With --json each line is a hit.',
    );
  return withObjectOptions(command, defaults).action(
    async (words: string[], options: SearchOptions) => {
      const query = words.join(' ');
      const caller = {
        ...{ name: 'search', options, defaults, shell },
        explain: (error: CallError) => explain(query, error),
      };
      await callService(StorageService, caller, (client) => search(client, query, options, shell));
    },
  );
}
