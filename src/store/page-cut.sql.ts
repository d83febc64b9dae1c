/** How a page of any noun ends at 1 MiB: text that statements are made of, and no statement. */

/** What a row of a cut page has beside its columns. */
export interface CutRow {
  /** Rows of the page before it was cut. */
  readonly page_rows: bigint;
}

/**
 * Reads `columns` of the common table `page` in the order of `key`, cut at 1 MiB: a row counts its
 * JSON (`jsons`), `texts` (those that a caller may fill), and 300 bytes for the rest of it. JSON of
 * small numbers is 3.7 times as long in a message as in its text: the row that would go beyond the
 * bound is left for the next page, so that every page stays below the 4 MiB that clients take. The
 * first row stays: jsonb writes 1e300 with all its digits.
 */
export function cutPage(
  columns: string,
  key: string,
  texts: readonly string[],
  jsons: readonly string[] = ['metadata'],
): string {
  const parts = [...jsons.map((json) => `${json}::text`), ...texts];
  const bytes = parts.map((text) => `coalesce(octet_length(${text}), 0)`);
  return `
    select ${columns}, (select count(*) from page) as page_rows
    from (
      select *, row_number() over keys as place,
        sum(300 + ${bytes.join(' + ')}) over keys as bytes
      from page
      window keys as (order by ${key})
    ) as counted
    where place = 1 or bytes <= 1048576
    order by ${key}`;
}
