/** What a filter asks of a row of `storage_audit`: text that statements are made of. */

/**
 * The columns that an index finds, of a filter's parameters as `filterParams` gives them: each
 * equal to its own. What is asked for twice does not change the rows: it shows the planner that the
 * column's own index passes fewer of them than the primary key, whatever few values the column has,
 * and so how many rows one page reads does not depend on statistics.
 */
export const FILTER_EQUAL = {
  user_id: 'user_id = $2 and user_id >= $2',
  action: 'action = $4 and action >= $4',
  object_key: 'object_key = $5 and object_key >= $5',
  correlation_id: 'correlation_id = $10 and correlation_id >= $10',
} as const;

/** All that a filter asks for beside its time range; $1 is the project, $12 to $13 the range. */
export const FILTER_MATCHES = `(($2::text is null or user_id = $2)
        and ($3::text is null or username = $3)
        and ($4::text is null or action = $4)
        and ($5::text is null or object_key = $5)
        and ($6::text is null or object_key >= $6 and object_key < $7)
        and ($8::text is null or version_id = $8)
        and ($9::boolean is null or success = $9)
        and ($10::text is null or correlation_id = $10)
        and ($11::jsonb is null or metadata @> $11))`;
