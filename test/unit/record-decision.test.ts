// What recording comes to, case by case, without a database.
import { create } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { StorageObjectSchema } from '../../gen/stowage/v1/storage_object_pb.js';
import { RecordOutcome } from '../../gen/stowage/v1/storage_record_pb.js';
import {
  digestInputs,
  objectInput,
  type Preconditions,
  sortInputs,
} from '../../src/store/object-input.js';
import type { LockedObject } from '../../src/store/objects.sql.js';
import { decide } from '../../src/store/record-decision.js';

const now = { seconds: 1_800_000_000n, nanos: 0 };
const then = { seconds: 1_700_000_000n, nanos: 0 };

function input(
  fields: { objectKey?: string; etag?: string; versionId?: string; metadata?: object } = {},
  preconditions: Preconditions = {},
) {
  const object = create(StorageObjectSchema, {
    objectKey: 'a',
    storageBackend: 's3',
    etag: 'e1',
    ...(fields as object),
  });
  return objectInput(object, 'object', preconditions);
}

function locked(fields: Partial<LockedObject> = {}): LockedObject {
  return {
    object_key: 'a',
    id: '0198c0de-0000-7000-8000-000000000000',
    etag: 'e1',
    version_id: 'v1',
    last_modified: then,
    created_at: then,
    revision: 4n,
    deleted: false,
    changed_fields: ['size'],
    ...fields,
  };
}

describe('decide', () => {
  it('creates what is not there', () => {
    const decision = decide(input(), undefined, now);
    expect(decision).toMatchObject({ outcome: RecordOutcome.CREATED, revision: 1n });
    expect(decision).toMatchObject({ createdAt: now, lastModified: now, changedFields: [] });
    expect(decision.versionId).toMatch(/^[0-9a-f-]{36}$/);
  });

  it('leaves alone what is just so', () => {
    const decision = decide(input(), locked({ changed_fields: [] }), now);
    expect(decision).toMatchObject({ outcome: RecordOutcome.UNCHANGED, revision: 4n });
    expect(decision).toMatchObject({ versionId: 'v1', lastModified: then });
  });

  it('keeps the version and the time while the etag stays', () => {
    const decision = decide(input(), locked(), now);
    expect(decision).toMatchObject({ outcome: RecordOutcome.UPDATED, revision: 5n });
    expect(decision).toMatchObject({ versionId: 'v1', lastModified: then, createdAt: then });
  });

  it('makes another version when the etag changes', () => {
    const decision = decide(input({ etag: 'e2' }), locked(), now);
    expect(decision.versionId).not.toBe('v1');
    expect(decision.lastModified).toBe(now);
  });

  it('takes the version id of the store', () => {
    expect(decide(input({ versionId: 's3-7' }), locked(), now).versionId).toBe('s3-7');
  });

  it('brings a deleted key back under its id, one revision on, as another version', () => {
    const decision = decide(input(), locked({ deleted: true, changed_fields: [] }), now);
    expect(decision).toMatchObject({ outcome: RecordOutcome.CREATED, revision: 5n });
    expect(decision.id).toBe(locked().id);
    expect(decision.versionId).not.toBe('v1');
  });

  it.each([
    ['ALREADY_EXISTS', { ifAbsent: true }, locked()],
    ['ETAG_MISMATCH', { ifMatchEtag: 'e9' }, locked()],
    ['ETAG_MISMATCH', { ifMatchEtag: 'e1' }, undefined],
    ['ETAG_MISMATCH', { ifMatchEtag: 'e1' }, locked({ deleted: true })],
    ['REVISION_MISMATCH', { ifRevision: 3n }, locked()],
    ['REVISION_MISMATCH', { ifRevision: 4n }, locked({ deleted: true })],
  ] as const)('answers %s to %o', (reason, preconditions, present) => {
    const attempt = () => decide(input({}, preconditions), present, now);
    expect(attempt).toThrowError(expect.objectContaining({ reason }));
  });

  it.each([
    [{ ifAbsent: true }, undefined],
    [{ ifAbsent: true }, locked({ deleted: true })],
    [{ ifMatchEtag: 'e1' }, locked()],
    [{ ifRevision: 4n }, locked()],
  ])('accepts %o where it holds', (preconditions, present) => {
    const outcome = decide(input({}, preconditions), present, now).outcome;
    expect(outcome).not.toBe(RecordOutcome.UNSPECIFIED);
  });
});

describe('sortInputs', () => {
  it('orders by bytes and refuses a key that stands twice', () => {
    const keys = ['b', '\u{1F600}', 'a', '\u{FFFD}'];
    const sorted = sortInputs(keys.map((objectKey) => input({ objectKey })));
    expect(sorted.map((each) => each.objectKey)).toEqual(['a', 'b', '\u{FFFD}', '\u{1F600}']);
    const twice = () => sortInputs([input(), input({ objectKey: 'b' }), input()]);
    expect(twice).toThrowError(expect.objectContaining({ reason: 'INVALID_REQUEST' }));
  });
});

describe('digestInputs', () => {
  it('tells every part of a request apart, but not the order of metadata keys', () => {
    const of = (...args: Parameters<typeof input>) =>
      Buffer.from(digestInputs([input(...args)])).toString('hex');
    expect(of({ metadata: { a: 1, b: 2 } })).toBe(of({ metadata: { b: 2, a: 1 } }));
    const different = [
      of(),
      of({ etag: 'e2' }),
      of({ versionId: 'v' }),
      of({ metadata: { a: 1 } }),
      of({}, { ifAbsent: true }),
      of({}, { ifMatchEtag: 'x' }),
      of({}, { ifRevision: 1n }),
    ];
    expect(new Set(different).size).toBe(different.length);
  });
});
