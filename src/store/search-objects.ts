/** Searches objects by their words and by parts of their keys. */

import { create } from '@bufbuild/protobuf';
import {
  type SearchHit,
  SearchHitSchema,
  type SearchObjectsRequest,
  type SearchObjectsResponse,
  SearchObjectsResponseSchema,
  SearchSyntax,
} from '../../gen/stowage/v1/storage_search_pb.js';
import { invalidField } from '../errors.js';
import type { Call } from '../postgres/call.js';
import type { Statement } from '../postgres/statement.js';
import { prefixCeiling } from './object-keys.js';
import { toObject } from './object-row.js';
import { requireProject } from './objects.js';
import { openPageToken, sealPageToken } from './page-token.js';
import {
  type SearchRow,
  searchCharacters,
  searchClose,
  searchFirstKeys,
  searchLoose,
  searchSubstring,
  searchWords,
} from './search.sql.js';
import { highlight, type Marker, markPart, markTerms } from './search-highlight.js';
import { readWebQuery, termsOf, type WordQuery } from './search-query.js';
import { readTsquery } from './search-tsquery.js';
import { singlesOf, wholeWordsOf } from './search-words.js';
import type { Store } from './store.js';

const PAGE_SIZE_DEFAULT = 50;
/** Each trigram of what keys shall be like is looked up, which is dear for common ones. */
const SIMILAR_CHARACTERS_MAX = 64;

/** How a search is run. */
interface Plan {
  readonly plain: Statement<SearchRow>;
  /** For where rows of others are in the way; undefined where nothing helps. */
  readonly scoped?: Statement<SearchRow>;
  readonly asked: string;
  /** The last parameter, where the statement has it. */
  readonly help?: string;
  readonly mark: Marker;
  /** What is run where this finds nothing. */
  readonly otherwise?: Plan;
}

/**
 * Searches live objects, the best first.
 * @throws StowageError INVALID_REQUEST, with `position` for a broken tsquery, PAGE_TOKEN_INVALID,
 *   PROJECT_NOT_FOUND.
 */
export async function searchObjects(
  store: Store,
  call: Call,
  request: SearchObjectsRequest,
): Promise<SearchObjectsResponse> {
  const plan = planOf(request);
  const args = searchBinding(request);
  const position = await openPageToken(store.sealer, call, args, request.pageToken);
  const [score, key] = readPosition(position);
  const rowsMax = request.pageSize || PAGE_SIZE_DEFAULT;
  const { prefix, storageBackend } = request;
  const scope = storageBackend === '' ? call.project : `${call.project}/${storageBackend}`;
  const params = [call.project, scope, plan.asked, prefix, prefixCeiling(prefix)];
  // One row more than asked tells whether there is a next page.
  const rows = await runPlan(store, call, plan, [...params, score, key, rowsMax + 1]);
  const hits = rows.slice(0, rowsMax).flatMap((row) => toHits(row, request, plan));
  if (hits.length === 0) await requireProject(store, call);
  const last = hits.at(-1);
  // A server of an older version deletes objects and leaves the index: no page ends at what it
  // left.
  const more = last !== undefined && hits.length < Number(rows[0]?.found ?? 0n);
  return create(SearchObjectsResponseSchema, {
    hits,
    nextPageToken: more ? await sealPageToken(store.sealer, call, args, positionOf(last)) : '',
    truncated: rows[0]?.bound !== null,
  });
}

/** Runs a search, and where it finds nothing the one for that. */
async function runPlan(
  store: Store,
  call: Call,
  plan: Plan,
  params: readonly unknown[],
): Promise<SearchRow[]> {
  const { plain, scoped, help, otherwise } = plan;
  const all = help === undefined ? params : [...params, help];
  let rows = await store.router.run(plain, all, call);
  if (rows[0]?.searchable !== true) throw nothingAsked();
  // Again within its own rows, where those of others took the bound.
  if (rows[0].bound === 'inspected' && scoped !== undefined) {
    rows = await store.router.run(scoped, all, call);
  }
  const isEmpty = pageRows(rows) === 0;
  return isEmpty && otherwise !== undefined ? runPlan(store, call, otherwise, params) : rows;
}

function planOf({ query, syntax, prefix }: SearchObjectsRequest): Plan {
  switch (syntax) {
    case SearchSyntax.TSQUERY:
      return wordPlan(readTsquery(query), prefix);
    case SearchSyntax.KEY_SUBSTRING:
      return substringPlan(query, prefix);
    case SearchSyntax.KEY_SIMILAR:
      return similarPlan(query, prefix);
    default:
      return wordPlan(readWebQuery(query), prefix);
  }
}

function wordPlan({ tsquery, terms }: WordQuery, prefix: string): Plan {
  const help = wholeWordsOf(prefix);
  return { ...searchWords, asked: tsquery, help, mark: markTerms(terms) };
}

/** Trigrams help from three letters or digits in a row; the index of words for some others. */
function substringPlan(query: string, prefix: string): Plan {
  const plan = { asked: query, mark: markPart(query) };
  if (/[\p{L}0-9]{3}/u.test(query)) return { ...plan, ...searchSubstring, help: prefix };
  const characters = singlesOf(query);
  if (characters.length === 0) return { ...plan, plain: searchFirstKeys };
  return { ...plan, ...searchCharacters, help: characters.join(' ') };
}

function similarPlan(query: string, prefix: string): Plan {
  if (!/[\p{L}\p{N}]/u.test(query)) throw nothingAsked();
  if (Array.from(query).length > SIMILAR_CHARACTERS_MAX) {
    const rule = `is at most ${SIMILAR_CHARACTERS_MAX} characters long with KEY_SIMILAR`;
    throw invalidField('query', `${rule}; give the part of the key that you are sure of`);
  }
  const plan = { asked: query, help: prefix, mark: markTerms(termsOf(query, false)) };
  return { ...plan, ...searchClose, otherwise: { ...plan, ...searchLoose } };
}

const nothingAsked = () =>
  invalidField('query', 'asks for no word that must be there; name one beside what must not be');

/** What a page token is bound to beside its call. */
function searchBinding(request: SearchObjectsRequest): string[] {
  const { query, prefix, storageBackend } = request;
  const syntax = request.syntax || SearchSyntax.WEB;
  return [query, String(syntax), prefix, storageBackend, String(request.highlight)];
}

/** Behind which hit a page begins. No JSON, which makes six bytes of a control character. */
const positionOf = ({ score, object }: SearchHit): string => `${score} ${object?.objectKey ?? ''}`;

function readPosition(position: string): [score: string | null, key: string | null] {
  const end = position.indexOf(' ');
  return end < 0 ? [null, null] : [position.slice(0, end), position.slice(end + 1)];
}

function toHits(row: SearchRow, request: SearchObjectsRequest, { mark }: Plan): SearchHit[] {
  if (row.object_key === null) return [];
  const object = toObject(row);
  const isOfKeys = request.syntax >= SearchSyntax.KEY_SUBSTRING;
  const found = request.highlight ? highlight(object, mark, isOfKeys) : '';
  return [create(SearchHitSchema, { object, score: row.score, highlight: found })];
}

/** How many rows the page had before it was cut. */
function pageRows([first]: readonly SearchRow[]): number {
  return first === undefined || first.object_key === null ? 0 : Number(first.page_rows);
}
