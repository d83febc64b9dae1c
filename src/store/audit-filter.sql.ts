/** What a filter asks of a row of `storage_audit`: text that statements are made of. */

/**
 * All that a filter asks for beside its time range, by the parameters that `filterParams` gives: $1
 * is the project, $12 to $13 the range.
 */
export const FILTER_MATCHES = `(($2::text is null or user_id = $2)
        and ($3::text is null or username = $3)
        and ($4::text is null or action = $4)
        and ($5::text is null or object_key = $5)
        and ($6::text is null or object_key >= $6 and object_key < $7)
        and ($8::text is null or version_id = $8)
        and ($9::boolean is null or success = $9)
        and ($10::text is null or correlation_id = $10)
        and ($11::jsonb is null or metadata @> $11))`;
