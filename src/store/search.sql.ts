/**
 * Statements that search. All have one form, in which each step is bounded: so many rows are looked
 * at, so many of them ranked, whatever is asked and however many objects match.
 */

import { type Statement, statement } from '../postgres/statement.js';
import { IN_PROJECT, OBJECT, OBJECT_TEXTS, type ObjectRow } from './object-reads.sql.js';
import { type CutRow, cutPage } from './page-cut.sql.js';

/** How many matches are ranked. */
const RANKED_MAX = 2_000;
/** How many rows are looked at for them. */
const INSPECTED_MAX = 8_000;

/** A hit and what the search says of itself; without hits there is one row, without an object. */
export type SearchRow = {
  /** False where nothing is asked that must be there. */
  readonly searchable: boolean;
  /** Which bound was reached; null: every match is ranked. */
  readonly bound: 'ranked' | 'inspected' | null;
  /** Hits before the page was cut, those among them whose objects are gone. */
  readonly found: bigint;
} & ((ObjectRow & CutRow & { readonly score: number }) | { readonly object_key: null });

/** What tells one way to search from the others. */
interface Search {
  readonly name: string;
  /** The column `wanted`: what is asked, null where that is nothing; and others. */
  readonly query: string;
  /** Which rows are looked at: conditions that an index serves. */
  readonly found: string;
  /** In which order, where that matters; with it goes the bound. */
  readonly order?: string;
  /** What they must be beside that. */
  readonly matching?: string;
  /** How well a row matches. */
  readonly score: string;
}

/** A statement for most searches, and one for those where others have most of the matches. */
interface SearchStatements {
  readonly plain: Statement<SearchRow>;
  /** Narrowed to project and backend by the index, which costs twice as much. */
  readonly scoped: Statement<SearchRow>;
}

/** What was asked. A subquery, so that no plan is made for one value and kept for others. */
const WANTED = '(select wanted from query)';
const KEY = 'lower(object_key collate "default")';
const IN_SCOPE = `project_id = $1 and ($2 = $1 or project_id || '/' || storage_backend = $2)`;
const BELOW_PREFIX = 'object_key >= $4 and object_key < $5';

/**
 * Parameters of all: project, scope (the project, or project/backend), what is asked, prefix and
 * the end of its range, score and key of the last hit before, rows at most, and what else helps to
 * find it.
 *
 * A common table expression is read only as far as the next one asks, but planned as if all of it
 * were: so the index is used, whatever the statistics say, and its rows are read up to the bound.
 */
function searchText(definition: Search, scope = ''): string {
  const { query, found, order = '', matching = 'true', score } = definition;
  return `
    with query as materialized (${query}
    ), found as materialized (
      select project_id, object_key, storage_backend, search_vector
      from storage_search
      where ${scope}${found}${IN_PROJECT}${order}
    ), inspected as materialized (
      select * from found limit ${INSPECTED_MAX + 1}
    ), candidates as materialized (
      select object_key, search_vector
      from inspected
      where ${IN_SCOPE} and ${BELOW_PREFIX} and ${matching}
      limit ${RANKED_MAX + 1}
    ), ranked as (
      select object_key, (${score})::float8 as score
      from (select * from candidates limit ${RANKED_MAX}) as bounded
    ), hits as (
      select object_key, score
      from ranked
      where $6::float8 is null or score < $6 or score = $6 and object_key > $7
      order by score desc, object_key
      limit $8
    ), page as materialized (
      select ${OBJECT}, score
      from storage_objects
      join hits using (object_key)
      where project_id = $1 and deleted_at is null
    )
    select summary.*, cut.*
    from (
      select ${WANTED} is not null as searchable,
        case
          when (select count(*) from candidates) > ${RANKED_MAX} then 'ranked'
          when (select count(*) from inspected) > ${INSPECTED_MAX} then 'inspected'
        end as bound,
        (select count(*) from hits) as found
    ) as summary
    left join (${cutPage(`${OBJECT}, score`, 'score desc, object_key', OBJECT_TEXTS)}
    ) as cut on true
    order by score desc, object_key`;
}

function search(definition: Search): SearchStatements {
  const { name } = definition;
  const scope = `array[project_id, project_id || '/' || storage_backend] @> array[$2] and `;
  return {
    plain: statement({ name, intent: 'read', text: searchText(definition) }),
    scoped: statement({
      name: `${name}-scoped`,
      intent: 'read',
      text: searchText(definition, scope),
    }),
  };
}

/**
 * $3: a tsquery; $9: words that stand in every key below the prefix, which the index narrows by.
 * A query such as !a would have the index read from end to end: PostgreSQL says so as T.
 *
 * The index knows neither places nor weights: with a phrase or a weight every row that has the
 * words would be read, past any bound, before PostgreSQL knew it for none. So the index is asked
 * for the words alone, and what it gives for all that was asked. In that form nothing is negated:
 * a row with a word that must not stand here may have it elsewhere.
 *
 * Ranked is by what must be there: beside a single word ts_rank takes one that must not be for a
 * second one that is missing, and gives every row 0.
 */
export const searchWords = search({
  name: 'search-words',
  query: `
      select asked,
        case when querytree(asked) not in ('', 'T') then
          plainto_tsquery('pg_catalog.simple', stowage_search_words($9)) &&
          case when asked::text ~ '<|:[*]?[A-D]' then
            regexp_replace(
              regexp_replace(querytree(asked), '<(-|[0-9]+)>', '&', 'g'),
              ':([*]?)[A-D]+', ':\\1', 'g')::tsquery
          else asked end
        end as wanted,
        nullif(querytree(asked), '')::tsquery as ranking
      from to_tsquery('pg_catalog.simple', stowage_search_marks($3)) as asked`,
  found: `search_vector @@ ${WANTED}`,
  matching: 'search_vector @@ (select asked from query)',
  score: 'ts_rank(search_vector, (select ranking from query))',
});

/** How much of the key the part is. */
const SHARE = `length(${WANTED})::float8 / length(object_key)`;
/** A text as a pattern of LIKE: its wildcards mean themselves. */
const PATTERN = (text: string) => `regexp_replace(lower(${text}), '([%_\\\\])', '\\\\\\1', 'g')`;

/** $3: a part of a key with three letters or digits in a row; $9: the prefix again. */
export const searchSubstring = search({
  name: 'search-substring',
  query: `
      select $3::text as wanted, '%' || ${PATTERN('$3')} || '%' as pattern,
        ${PATTERN('$9')} || '%' as below`,
  found: `${KEY} like (select pattern from query) and ${KEY} like (select below from query)`,
  score: SHARE,
});

/** $3: a part of a key; $9: characters of it that are words by themselves. */
export const searchCharacters = search({
  name: 'search-characters',
  query: `
      select $3::text as wanted, '%' || ${PATTERN('$3')} || '%' as pattern,
        plainto_tsquery('pg_catalog.simple', stowage_search_words($9)) as characters`,
  found: 'search_vector @@ (select characters from query)',
  matching: `${KEY} like (select pattern from query)`,
  score: SHARE,
});

/** $3: a part of a key that no index helps to find: the first keys below the prefix are asked. */
export const searchFirstKeys = statement<SearchRow>({
  name: 'search-first-keys',
  intent: 'read',
  text: searchText({
    name: 'search-first-keys',
    query: `
      select $3::text as wanted, '%' || ${PATTERN('$3')} || '%' as pattern`,
    // Of every backend: to look for the first of a rare one would pass any number of others.
    found: `project_id = $1 and ${BELOW_PREFIX}`,
    order: `
      order by object_key
      limit ${INSPECTED_MAX + 1}`,
    matching: `${KEY} like (select pattern from query)`,
    score: SHARE,
  }),
});

/**
 * $3: what keys shall be like; $9: the prefix again. The threshold of pg_trgm is a setting: it is
 * set when what is asked is computed, which is before the index is asked.
 */
const similar = (name: string, threshold: '0.6' | '0.3') =>
  search({
    name,
    query: `
      select case when set_config('pg_trgm.word_similarity_threshold', '${threshold}', true) <> ''
        then lower($3) end as wanted,
        ${PATTERN('$9')} || '%' as below`,
    found: `${KEY} %> ${WANTED} and ${KEY} like (select below from query)`,
    score: `word_similarity(${WANTED}, ${KEY})`,
  });

/**
 * Finds what is alike at first sight. Asked first, because with a low threshold keys that are not
 * alike enough have to be read before they are known for what they are.
 */
export const searchClose = similar('search-close', '0.6');

/** Finds a word of seven letters of which two are swapped; asked where nothing is closer. */
export const searchLoose = similar('search-loose', '0.3');
