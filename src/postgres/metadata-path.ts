/**
 * Paths into the metadata of objects: their bounds, and the expressions that indexes are made of
 * and comparisons ask for. Both must be the same to the letter, else no index is ever used.
 */

import { createHash } from 'node:crypto';
import { invalidField } from '../errors.js';

/** Which values of a path an index holds and a comparison finds. */
export type MetadataType = 'text' | 'number';

/** A path in bytes, and its names in number. */
const PATH_BYTES_MAX = 255;
const PATH_NAMES_MAX = 8;

/**
 * The names that a path with dots is made of; a name that has a dot itself cannot be reached.
 * @param field how the error names the path
 * @throws StowageError INVALID_REQUEST beyond 255 bytes or 8 names, and for an empty name.
 */
export function metadataNames(field: string, path: string): readonly string[] {
  const names = path.split('.');
  if (Buffer.byteLength(path) > PATH_BYTES_MAX) {
    throw invalidField(field, `has at most ${PATH_BYTES_MAX} bytes`);
  }
  if (names.length > PATH_NAMES_MAX) {
    throw invalidField(field, `has at most ${PATH_NAMES_MAX} names with dots between them`);
  }
  if (names.includes('')) {
    throw invalidField(field, 'has names with single dots between them, such as camera.model');
  }
  return names;
}

/**
 * SQL for the value at a path, null where it is of another type or too long. `names` is SQL too: a
 * parameter or a literal of type text[]. An index row holds 2704 bytes and a larger one fails the
 * write that makes it, so an index must leave out what could become larger: texts beyond 1024
 * bytes, which are beyond every operand, and numbers beyond 400 digits, which no double has.
 */
export const metadataValue: Readonly<Record<MetadataType, (names: string) => string>> = {
  text: (names) => `(case when jsonb_typeof(metadata #> ${names}) = 'string'
        and octet_length(metadata #>> ${names}) <= 1024
      then metadata #>> ${names} end collate "C")`,
  number: (names) => `(case when jsonb_typeof(metadata #> ${names}) = 'number'
        and octet_length(metadata #>> ${names}) <= 400
      then (metadata #>> ${names})::numeric end)`,
};

/**
 * The name of the index of a path. A hash, because PostgreSQL cuts names at 63 bytes, and two long
 * paths must not become one.
 */
export function metadataIndexName(names: readonly string[], type: MetadataType): string {
  const hash = createHash('sha256')
    .update(`${type} ${names.join('.')}`)
    .digest('hex');
  return `storage_objects_metadata_${hash.slice(0, 16)}`;
}
