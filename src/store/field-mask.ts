/**
 * Field masks of updates: the columns that one names, and the members of the one column that is a
 * map. Refuses what may not be changed, with a sentence that says what may.
 */

import type { JsonObject } from '@bufbuild/protobuf';
import { invalidField } from '../errors.js';

/** What the masks of one message may name. */
export interface MaskRules<Column extends string> {
  /** The order is that of a change's `changed_fields`. */
  readonly columns: readonly Column[];
  /** The column whose members can be named one by one: behind its name and a dot stands a key. */
  readonly map: Column;
  /** Why a path is refused that is no column; undefined: there is no such field. */
  refusal(path: string): string | undefined;
}

/** What a mask names. */
export interface FieldMask<Column extends string> {
  readonly columns: ReadonlySet<Column>;
  /** Keys of the map; none where its column is named. */
  readonly members: ReadonlySet<string>;
}

const PATHS_MAX = 100;

/** Errors travel in headers, where a path of any length would not fit. */
const QUOTED_MAX = 64;

/**
 * Reads a mask.
 * @throws StowageError INVALID_REQUEST that names the path and what is allowed.
 */
export function readFieldMask<Column extends string>(
  paths: readonly string[],
  rules: MaskRules<Column>,
): FieldMask<Column> {
  const { columns, map } = rules;
  const allowed = allowedBy(rules);
  if (paths.length === 0) throw refused(`is empty; ${allowed}`);
  if (paths.length > PATHS_MAX) throw refused(`has ${paths.length} paths, at most ${PATHS_MAX}`);
  const named = new Set(paths);
  if (named.has('*')) {
    if (named.size > 1) throw refused('"*" names everything and stands alone');
    return { columns: new Set(columns), members: new Set() };
  }
  const beginning = `${map}.`;
  const members = paths.filter((path) => path.startsWith(beginning));
  if (members.length > 0 && named.has(map)) {
    throw refused(`names ${map} and ${quoted(members[0] ?? '')}; name one of the two`);
  }
  const columnOf = (path: string): Column => {
    const column = columns.find((name) => name === path);
    if (column !== undefined) return column;
    throw refused(rules.refusal(path) ?? `${quoted(path)} is no field to change; ${allowed}`);
  };
  return {
    columns: new Set(paths.filter((path) => !path.startsWith(beginning)).map(columnOf)),
    members: new Set(members.map((path) => path.slice(beginning.length))),
  };
}

/** What the masks may name, as a part of a sentence. */
export function allowedBy({ columns, map }: MaskRules<string>): string {
  return `name some of ${columns.join(', ')}, ${map}.<key>, or * alone`;
}

/**
 * JSON writes masks in lowerCamelCase: who names `metadata.docType` there has named the key
 * `doc_type`, and would remove that one instead of setting the other.
 * @throws StowageError INVALID_REQUEST where that has happened.
 */
export function refuseMisread(
  { map }: Pick<MaskRules<string>, 'map'>,
  members: ReadonlySet<string>,
  given: JsonObject,
): void {
  for (const key of Object.keys(given)) {
    const misread = key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    if (misread === key || !members.has(misread)) continue;
    if (members.has(key) || Object.hasOwn(given, misread)) continue;
    throw refused(
      `names the key ${quoted(misread)}, but ${map} has ${quoted(key)}: a mask in JSON cannot ` +
        `name a key with capital letters; replace ${map} as a whole`,
    );
  }
}

/** The map that is there, with what is given of the members that the mask names. */
export function mergeMembers<Value>(
  present: Readonly<Record<string, Value>>,
  given: Readonly<Record<string, Value>>,
  { members }: Pick<FieldMask<string>, 'members'>,
): Record<string, Value> {
  const kept = Object.entries(present).filter(([key]) => !members.has(key));
  const set = Object.entries(given).filter(([key]) => members.has(key));
  return Object.fromEntries([...kept, ...set]);
}

/** A path as errors quote it. */
export function quoted(path: string): string {
  const points = [...path];
  return JSON.stringify(
    points.length <= QUOTED_MAX ? path : `${points.slice(0, QUOTED_MAX).join('')}…`,
  );
}

const refused = (description: string) => invalidField('update_mask', description);
