/** What is recorded more than once: groups of objects with the same etag and size. */

import { toJson } from '@bufbuild/protobuf';
import {
  type DuplicateGroup,
  DuplicateGroupSchema,
} from '../../../gen/stowage/v1/storage_report_pb.js';
import { lostConnection } from '../../client/index.js';
import { strong } from '../call.js';
import { sizeText } from '../cells.js';
import { jsonText, print, type Shell } from '../output.js';
import { formatCount } from '../scan/format.js';
import { escapeText } from '../scan/names.js';
import { type Column, Table } from '../table.js';
import type { StorageClient } from './long-work.js';

/** Where to look, and how much to show. */
export interface DuplicateOptions {
  readonly project: string;
  readonly prefix: string;
  readonly backend?: string;
  readonly limit: number;
  readonly bytes: boolean;
  readonly json: boolean;
}

/** Keys of a group that a person is shown. */
const keysShownMax = 5;

function columnsOf(isExact: boolean): readonly Column<DuplicateGroup>[] {
  return [
    { title: 'SIZE', cell: ({ size }) => sizeText(size, isExact), align: 'right' },
    { title: 'COPIES', cell: ({ objects }) => formatCount(objects), align: 'right' },
    {
      title: 'SPARE',
      cell: ({ reclaimableBytes }) => sizeText(reclaimableBytes, isExact),
      align: 'right',
    },
    { title: 'ETAG', cell: ({ etag }) => etag },
  ];
}

function keyLines({ objectKeys, objects }: DuplicateGroup): readonly string[] {
  const shown = objectKeys.slice(0, keysShownMax);
  const more = objects - BigInt(shown.length);
  const rest = more > 0n ? [`and ${formatCount(more)} more`] : [];
  return [...shown.map(escapeText), ...rest].map((line) => `    ${line}`);
}

function jsonOf(groups: readonly DuplicateGroup[]): string {
  return groups.map((group) => `${jsonText(toJson(DuplicateGroupSchema, group))}\n`).join('');
}

/** Prints the groups as they come, the largest objects first, each with its first keys below. */
export async function printDuplicates(
  client: StorageClient,
  options: DuplicateOptions,
  shell: Shell,
): Promise<void> {
  const { project, prefix, backend: storageBackend = '', limit, json } = options;
  const table = new Table(columnsOf(options.bytes));
  let left = limit;
  let isMore = false;
  let isWhole = false;
  const request = { project, prefix, storageBackend, freshness: strong };
  for await (const { groups, summary } of client.findDuplicates(request)) {
    isWhole = summary !== undefined;
    const shown = groups.slice(0, left);
    isMore = groups.length > left;
    left -= shown.length;
    if (shown.length > 0) {
      await print(shell.stdout, json ? jsonOf(shown) : table.lines(shown, keyLines));
    }
    if (isMore) break;
  }
  // Else what is missing would be taken for what is there only once.
  if (!isMore && !isWhole) throw lostConnection('the duplicates ended without their summary');
  if (json) return;
  if (left === limit) shell.stderr.write('Nothing is there more than once.\n');
  if (isMore) shell.stderr.write(`More are duplicates than these ${limit}: --limit shows more.\n`);
}
