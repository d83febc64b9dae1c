/**
 * The field mask of an update: the columns and members of metadata that it names. Refuses what the
 * service sets itself, what belongs to the content, and what there is not.
 */

import type { JsonObject } from '@bufbuild/protobuf';
import { invalidField } from '../errors.js';

/** What an update may change; the order is that of a change's `changed_fields`. */
export const updatable = [
  'content_type',
  'storage_backend',
  'storage_class',
  'metadata',
  'owner',
  'purge_at',
] as const;

/** A column that an update may change. */
export type Updatable = (typeof updatable)[number];

/** What a mask names. */
export interface UpdateMask {
  readonly columns: ReadonlySet<Updatable>;
  /** Keys of metadata; none where the column is named. */
  readonly members: ReadonlySet<string>;
}

const PATHS_MAX = 100;

/** Behind it stands a key, whatever dots that has. */
const MEMBER = 'metadata.';

/** Errors travel in headers, where a path of any length would not fit. */
const QUOTED_MAX = 64;

const outputs: readonly string[] = ['id', 'revision', 'created_at', 'deleted_at'];
const content: readonly string[] = ['size', 'etag', 'last_modified', 'version_id'];

/**
 * Reads a mask.
 * @throws StowageError INVALID_REQUEST that names the path and what is allowed.
 */
export function readMask(paths: readonly string[]): UpdateMask {
  if (paths.length === 0) throw refused(`is empty; ${allowed}`);
  if (paths.length > PATHS_MAX) throw refused(`has ${paths.length} paths, at most ${PATHS_MAX}`);
  const named = new Set(paths);
  if (named.has('*')) {
    if (named.size > 1) throw refused('"*" names everything and stands alone');
    return { columns: new Set(updatable), members: new Set() };
  }
  const members = paths.filter((path) => path.startsWith(MEMBER));
  if (members.length > 0 && named.has('metadata')) {
    throw refused(`names metadata and ${quoted(members[0] ?? '')}; name one of the two`);
  }
  const columns = paths.filter((path) => !path.startsWith(MEMBER));
  return {
    columns: new Set(columns.map(columnOf)),
    members: new Set(members.map((path) => path.slice(MEMBER.length))),
  };
}

function columnOf(path: string): Updatable {
  const column = updatable.find((name) => name === path);
  if (column !== undefined) return column;
  if (outputs.includes(path)) throw refused(`${quoted(path)} is set by the service; ${allowed}`);
  if (content.includes(path)) {
    throw refused(`${quoted(path)} is of the content: record the new content with RecordObject`);
  }
  if (path === 'object_key') {
    throw refused('"object_key" says which object is meant; MoveObject gives it another key');
  }
  throw refused(`${quoted(path)} is no field to change; ${allowed}`);
}

/**
 * JSON writes masks in lowerCamelCase: who names `metadata.docType` there has named the key
 * `doc_type`, and would remove that one instead of setting the other.
 * @throws StowageError INVALID_REQUEST where that has happened.
 */
export function refuseMisread(members: ReadonlySet<string>, given: JsonObject): void {
  for (const key of Object.keys(given)) {
    const misread = key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    if (misread === key || !members.has(misread)) continue;
    if (members.has(key) || Object.hasOwn(given, misread)) continue;
    throw refused(
      `names the key ${quoted(misread)}, but metadata has ${quoted(key)}: a mask in JSON cannot ` +
        'name a key with capital letters; replace metadata as a whole',
    );
  }
}

const allowed = `name some of ${updatable.join(', ')}, metadata.<key>, or * alone`;

const refused = (description: string) => invalidField('update_mask', description);

function quoted(path: string): string {
  const points = [...path];
  return JSON.stringify(
    points.length <= QUOTED_MAX ? path : `${points.slice(0, QUOTED_MAX).join('')}…`,
  );
}
