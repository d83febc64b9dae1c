import type { JsonObject } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import type { VersionRow } from '../../src/store/version-columns.js';
import { differencesOf } from '../../src/store/version-difference.js';

const row = (metadata: JsonObject, facts: Partial<VersionRow> = {}): VersionRow => ({
  object_key: 'k',
  version_id: 'v',
  size: 1n,
  etag: 'e',
  content_type: 'a/b',
  last_modified: { seconds: 0n, nanos: 0 },
  is_latest: false,
  created_by: 'ada',
  comment: '',
  tags: {},
  metadata,
  delete_marker: false,
  restored_from: '',
  created_at: { seconds: 0n, nanos: 0 },
  revision: 1n,
  ...facts,
});

/** `path: before -> after`, by what JSON writes. */
const told = (before: VersionRow, after: VersionRow): string[] =>
  differencesOf(before, after).map(
    (each) => `${each.path}: ${JSON.stringify(each.before)} -> ${JSON.stringify(each.after)}`,
  );

const toldOf = (before: JsonObject, after: JsonObject) => told(row(before), row(after));

describe('the differences of two versions', () => {
  it('are none where facts and metadata are the same, whoever made them and when', () => {
    const other = { version_id: 'w', created_by: 'eve', comment: 'x', tags: { a: '1' } };
    const before = row({ b: [1, { y: 1, x: 2 }], a: null });
    expect(told(before, row({ a: null, b: [1, { x: 2, y: 1 }] }, other))).toEqual([]);
  });

  it('are told of each fact, in byte order of the paths', () => {
    const after = row(
      { m: 1 },
      {
        size: 2n ** 60n + 1n,
        etag: 'f',
        content_type: '',
        last_modified: { seconds: 1n, nanos: 1_000 },
        delete_marker: true,
      },
    );
    expect(told(row({}), after)).toEqual([
      'content_type: "a/b" -> ""',
      'delete_marker: false -> true',
      'etag: "e" -> "f"',
      'last_modified: "1970-01-01T00:00:00.000000Z" -> "1970-01-01T00:00:01.000001Z"',
      'metadata.m: undefined -> 1',
      'size: "1" -> "1152921504606846977"',
    ]);
  });

  it('go down objects to what differs, and take lists as wholes', () => {
    const before = { a: { b: { c: 1, d: [1, 2] }, same: 1 }, gone: { x: 1 }, n: null, t: 'x' };
    const after = { a: { b: { c: 2, d: [1, 3] }, same: 1 }, come: {}, n: 0, t: { u: 'x' } };
    expect(toldOf(before, after)).toEqual([
      'metadata.a.b.c: 1 -> 2',
      'metadata.a.b.d: [1,2] -> [1,3]',
      'metadata.come: undefined -> {}',
      'metadata.gone: {"x":1} -> undefined',
      'metadata.n: null -> 0',
      'metadata.t: "x" -> {"u":"x"}',
    ]);
  });

  it('tell a null from nothing, and what objects inherit from what they have', () => {
    expect(toldOf({ a: null }, {})).toEqual(['metadata.a: null -> undefined']);
    expect(toldOf({}, { constructor: 1 })).toEqual(['metadata.constructor: undefined -> 1']);
  });

  it('have paths of one member each, whatever is in its name', () => {
    const after = { 'a.b': 1, a: { b: 2 }, 'c\\.d': 3, '': 4, größe: 5 };
    expect(toldOf({}, after)).toEqual([
      'metadata.: undefined -> 4',
      'metadata.a: undefined -> {"b":2}',
      'metadata.a\\.b: undefined -> 1',
      'metadata.c\\\\\\.d: undefined -> 3',
      'metadata.größe: undefined -> 5',
    ]);
  });

  it('are one of all metadata where they are too many, or their paths too long', () => {
    const numbered = (count: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, at) => [`n${at}`, at]));
    expect(differencesOf(row({}), row(numbered(1000)))).toHaveLength(1000);
    const many = numbered(1001);
    expect(differencesOf(row({ a: 1 }), row(many))).toEqual([
      { path: 'metadata', before: { a: 1 }, after: many },
    ]);
    const long = { ['x'.repeat(30_000)]: numbered(10) };
    const other = { ['x'.repeat(30_000)]: {} };
    expect(differencesOf(row(other), row(long))).toEqual([
      { path: 'metadata', before: other, after: long },
    ]);
  });
});
