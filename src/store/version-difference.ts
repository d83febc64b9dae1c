/**
 * How two versions differ, path by path: pure, so tested without a database. What cannot be told in
 * a bounded answer is told as a whole.
 */

import type { JsonObject, JsonValue } from '@bufbuild/protobuf';
import { canonicalJson, type Json } from '../lib/canonical-json.js';
import { toIsoMicros } from '../lib/timestamp.js';
import { compareKeys } from './object-keys.js';
import type { VersionRow } from './version-columns.js';

/** A path and what each of the two has there; undefined: nothing. */
export interface Difference {
  readonly path: string;
  readonly before: JsonValue | undefined;
  readonly after: JsonValue | undefined;
}

/** More paths of metadata than these, or more bytes of them, are one: `metadata` as a whole. */
const PATHS_MAX = 1_000;
const PATH_BYTES_MAX = 256 * 1024;

/** The differences in byte order of their paths. */
export function differencesOf(before: VersionRow, after: VersionRow): Difference[] {
  const [was, is] = [factsOf(before), factsOf(after)];
  const facts = Object.keys(was)
    .map((path) => ({ path, before: was[path], after: is[path] }))
    .filter((fact) => fact.before !== fact.after);
  return [...facts, ...metadataDifferences(before.metadata, after.metadata)].sort((left, right) =>
    compareKeys(left.path, right.path),
  );
}

/** A size is a text: no JSON number has all of its digits. */
function factsOf(row: VersionRow): Readonly<Record<string, JsonValue>> {
  return {
    size: String(row.size),
    etag: row.etag,
    content_type: row.content_type,
    last_modified: toIsoMicros(row.last_modified),
    delete_marker: row.delete_marker,
  };
}

function metadataDifferences(before: JsonObject, after: JsonObject): Difference[] {
  const found: Difference[] = [];
  let bytes = 0;
  const isTold = visit(before, after, 'metadata', (difference) => {
    found.push(difference);
    bytes += Buffer.byteLength(difference.path);
    return found.length <= PATHS_MAX && bytes <= PATH_BYTES_MAX;
  });
  return isTold ? found : [{ path: 'metadata', before, after }];
}

/** Tells what differs at and below a path; false once `tell` has had enough. */
function visit(
  before: JsonValue | undefined,
  after: JsonValue | undefined,
  path: string,
  tell: (difference: Difference) => boolean,
): boolean {
  if (isObject(before) && isObject(after)) {
    const names = new Set([...Object.keys(before), ...Object.keys(after)]);
    return [...names].every((name) =>
      visit(own(before, name), own(after, name), `${path}.${escaped(name)}`, tell),
    );
  }
  return isEqual(before, after) || tell({ path, before, after });
}

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const own = (object: JsonObject, name: string) =>
  Object.hasOwn(object, name) ? object[name] : undefined;

function isEqual(before: JsonValue | undefined, after: JsonValue | undefined): boolean {
  if (before === undefined || after === undefined) return before === after;
  return canonicalJson(before as Json) === canonicalJson(after as Json);
}

/** So that a path is of one member only. */
const escaped = (name: string) => name.replaceAll(/[\\.]/g, '\\$&');
