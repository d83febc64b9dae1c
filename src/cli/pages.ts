/** Pages of a list, one after another, and how their rows are printed as JSON. */

import { type DescMessage, type MessageShape, toJson } from '@bufbuild/protobuf';
import { strong } from './call.js';
import { jsonText } from './output.js';

/** What every list is asked with, beside what is listed. */
export interface PageRequest {
  readonly pageSize: number;
  readonly pageToken: string;
  readonly freshness: typeof strong;
}

/** As many as a service gives in one page. */
const pageSizeMax = 1000;

/** The rows of a list, at most `limit`, a page at a time; a page may be empty. */
export async function* pagesOf<Row>(
  ask: (request: PageRequest) => Promise<readonly [rows: Row[], nextPageToken: string]>,
  limit = Number.POSITIVE_INFINITY,
): AsyncGenerator<{ readonly rows: Row[]; readonly isMore: boolean }, void, void> {
  let left = limit;
  let pageToken = '';
  do {
    const pageSize = Math.min(left, pageSizeMax);
    const [rows, next] = await ask({ pageSize, pageToken, freshness: strong });
    left -= rows.length;
    pageToken = next;
    yield { rows, isMore: next !== '' };
  } while (pageToken !== '' && left > 0);
}

/** The newest rows of a list that has the newest first, in the order of time. */
export async function newestRows<Row>(
  ask: (request: PageRequest) => Promise<readonly [rows: Row[], nextPageToken: string]>,
  limit: number,
): Promise<{ readonly rows: readonly Row[]; readonly isMore: boolean }> {
  const found: Row[] = [];
  let isMore = false;
  if (limit === 0) return { rows: found, isMore };
  for await (const page of pagesOf(ask, limit)) {
    found.push(...page.rows);
    isMore = page.isMore;
  }
  return { rows: found.reverse(), isMore };
}

/** A JSON document a row, each with its line's end. */
export function jsonLines<Schema extends DescMessage>(
  schema: Schema,
  rows: readonly MessageShape<Schema>[],
): string {
  return rows.map((row) => `${jsonText(toJson(schema, row))}\n`).join('');
}

/** A resource as a JSON document for reading. */
export function jsonResource<Schema extends DescMessage>(
  schema: Schema,
  message: MessageShape<Schema>,
): string {
  return `${jsonText(toJson(schema, message), 2)}\n`;
}

/** An answer as a JSON document for reading; figures that are 0 or false too. */
export function jsonDocument<Schema extends DescMessage>(
  schema: Schema,
  message: MessageShape<Schema>,
): string {
  return `${jsonText(toJson(schema, message, { alwaysEmitImplicit: true }), 2)}\n`;
}
