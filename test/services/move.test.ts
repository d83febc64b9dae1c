// MoveObject and MovePrefix through both doors: what is carried, what is left, how it goes on, and
// that nothing is half done, whatever another transaction does meanwhile.
import { randomUUID } from 'node:crypto';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { MovePrefixRequestSchema } from '../../gen/stowage/v1/storage_move_pb.js';
import type { StorageObjectSchema } from '../../gen/stowage/v1/storage_object_pb.js';
import {
  doorNames,
  failure,
  startService,
  strong,
  type TestService,
  untilWaiting,
} from '../support/service.js';

let service: TestService;

beforeAll(async () => {
  service = await startService();
});

afterAll(async () => {
  await service[Symbol.asyncDispose]();
});

type ObjectInit = Exclude<MessageInitShape<typeof StorageObjectSchema>, { $typeName: string }>;
type MovePrefix = MessageInitShape<typeof MovePrefixRequestSchema>;

const invoice = {
  size: 524_288n,
  etag: 'e1',
  contentType: 'application/pdf',
  lastModified: { seconds: 1_700_000_000n, nanos: 1_000 },
  storageBackend: 's3',
  storageClass: 'STANDARD',
  owner: 'acme',
  metadata: { Straße: 'Größe', 文件: ['🎉', { ж: null }] },
  purgeAt: { seconds: 4_000_000_000n, nanos: 0 },
} satisfies ObjectInit;

describe.each(doorNames)('moves through %s', (door) => {
  const clients = () => service.doors[door];
  const key = (name: string) => `${door}/${name}`;

  async function record(objectKey: string, fields: ObjectInit = {}) {
    const object = { ...invoice, objectKey, ...fields };
    const { object: recorded } = await clients().storage.recordObject({ object });
    if (recorded === undefined) throw new Error('nothing was recorded');
    return recorded;
  }

  async function recordAll(objectKeys: readonly string[]) {
    for (let at = 0; at < objectKeys.length; at += 1000) {
      const some = objectKeys.slice(at, at + 1000);
      const requests = some.map((objectKey) => ({ object: { ...invoice, objectKey } }));
      await clients().storage.batchRecordObjects({ requests });
    }
  }

  async function read(objectKey: string) {
    const request = { objectKey, showDeleted: true, freshness: strong };
    return (await clients().storage.getObject(request)).object;
  }

  async function liveUnder(prefix: string) {
    const rows = await service.sql<{ object_key: string }>(
      `select object_key from storage_objects
       where starts_with(object_key, $1) and deleted_at is null order by object_key`,
      [prefix],
    );
    return rows.map((row) => row.object_key);
  }

  const changesOf = (objectKeys: readonly string[]) =>
    service.sql<{ kind: string; object_key: string; revision: string }>(
      `select kind, object_key, revision::text from storage_changes
       where object_key = any($1) order by seq`,
      [objectKeys],
    );

  const versionsOf = (objectKey: string) =>
    service.sql<{ version_id: string; etag: string; delete_marker: boolean }>(
      `select version_id, etag, delete_marker from storage_versions
       where object_key = $1 order by seq`,
      [objectKey],
    );

  it('carries the record to a key of its own and deletes the source in one commit', async () => {
    const { storage } = clients();
    const [sourceKey, destinationKey] = [key('one/z'), key('one/ä')];
    const before = await record(sourceKey);
    const { object, token } = await storage.moveObject({ sourceKey, destinationKey });
    expect(token).not.toBe('');
    const { id, createdAt } = object ?? {};
    expect(object).toEqual({ ...before, objectKey: destinationKey, id, createdAt });
    expect(id).not.toBe(before.id);
    expect(await read(destinationKey)).toEqual(object);
    const source = await read(sourceKey);
    expect(source).toMatchObject({ id: before.id, revision: 2n });
    expect(source?.deletedAt).toBeDefined();
    expect(await versionsOf(destinationKey)).toEqual([
      { version_id: before.versionId, etag: 'e1', delete_marker: false },
    ]);
    expect(await versionsOf(sourceKey)).toEqual([
      { version_id: before.versionId, etag: 'e1', delete_marker: false },
      { version_id: source?.versionId, etag: '', delete_marker: true },
    ]);
    const traces = await service.sql(
      `select c.kind, c.object_key, c.revision::text, c.xid = o.xid as together,
         (select a.action from storage_audit a where a.object_key = c.object_key and a.xid = c.xid)
       from storage_changes c join storage_objects o using (project_id, object_key, revision)
       where o.object_key = any($1) order by c.seq`,
      [[sourceKey, destinationKey]],
    );
    const action = 'MOVE_OBJECT';
    expect(traces).toEqual([
      { kind: 'object.deleted', object_key: sourceKey, revision: '2', together: true, action },
      { kind: 'object.created', object_key: destinationKey, revision: '1', together: true, action },
    ]);
  });

  it('moves onto a deleted key, which keeps its id and time, and back again', async () => {
    const { storage } = clients();
    const [sourceKey, destinationKey] = [key('back/a'), key('back/b')];
    const source = await record(sourceKey, { versionId: 'v1' });
    const buried = await record(destinationKey, { versionId: 'v1', etag: 'other' });
    await storage.deleteObject({ objectKey: destinationKey });
    const there = await storage.moveObject({ sourceKey, destinationKey });
    const { id, createdAt } = buried;
    expect(there.object).toMatchObject({ id, createdAt, revision: 3n, etag: 'e1' });
    expect(there.object?.versionId).toMatch(/^[0-9a-f-]{36}$/);
    expect((await versionsOf(destinationKey)).map(({ etag }) => etag)).toEqual(['other', '', 'e1']);
    const back = await storage.moveObject({
      sourceKey: destinationKey,
      destinationKey: sourceKey,
      ifRevision: 3n,
    });
    expect(back.object).toMatchObject({ id: source.id, revision: 3n, etag: 'e1' });
    expect(back.object?.versionId).toBe(there.object?.versionId);
    expect(await changesOf([sourceKey])).toMatchObject([
      { kind: 'object.created', revision: '1' },
      { kind: 'object.deleted', revision: '2' },
      { kind: 'object.created', revision: '3' },
    ]);
  });

  it('refuses a key where a live object is, and leaves both', async () => {
    const { storage } = clients();
    const [sourceKey, destinationKey] = [key('taken/a'), key('taken/b')];
    const both = [await record(sourceKey), await record(destinationKey)];
    const refused = await failure(storage.moveObject({ sourceKey, destinationKey }));
    expect(refused).toMatchObject({
      reason: 'ALREADY_EXISTS',
      metadata: { object_key: destinationKey },
    });
    expect(refused.message).toContain('nothing of this call was moved');
    expect([await read(sourceKey), await read(destinationKey)]).toEqual(both);
    expect(await changesOf([sourceKey, destinationKey])).toHaveLength(2);
  });

  it('holds preconditions and refuses what cannot be moved', async () => {
    const { storage } = clients();
    const [sourceKey, destinationKey] = [key('held/a'), key('held/b')];
    const before = await record(sourceKey);
    const move = { sourceKey, destinationKey };
    const attempts = [
      [
        { ...move, ifMatchEtag: 'no' },
        { reason: 'ETAG_MISMATCH', metadata: { etag: 'e1' } },
      ],
      [
        { ...move, ifRevision: 2n },
        { reason: 'REVISION_MISMATCH', metadata: { revision: '1' } },
      ],
      [{ ...move, sourceKey: key('held/c') }, { reason: 'OBJECT_NOT_FOUND' }],
      [{ ...move, project: 'no-such' }, { reason: 'PROJECT_NOT_FOUND' }],
      [{ ...move, destinationKey: sourceKey }, { reason: 'INVALID_REQUEST' }],
      [{ ...move, destinationKey: 'x'.repeat(1025) }, { reason: 'INVALID_REQUEST' }],
      [{ ...move, ifRevision: 1n, ifMatchEtag: 'e1' }, { reason: 'INVALID_REQUEST' }],
    ] as const;
    for (const [request, expected] of attempts) {
      expect(await failure(storage.moveObject(request))).toMatchObject(expected);
    }
    expect(await read(sourceKey)).toEqual(before);
    await storage.moveObject({ ...move, ifMatchEtag: 'e1' });
    const again = storage.moveObject(move);
    expect(await failure(again)).toMatchObject({
      reason: 'OBJECT_NOT_FOUND',
      metadata: { object_key: sourceKey },
    });
  });

  it('answers a repeated move as before', async () => {
    const { storage } = clients();
    const [sourceKey, destinationKey] = [key('repeat/a'), key('repeat/b')];
    await record(sourceKey);
    const request = { sourceKey, destinationKey, requestId: randomUUID() };
    const first = await storage.moveObject(request);
    expect((await storage.moveObject(request)).object).toEqual(first.object);
    expect(await changesOf([sourceKey, destinationKey])).toHaveLength(3);
    const other = storage.moveObject({ ...request, destinationKey: key('repeat/c') });
    expect(await failure(other)).toMatchObject({ reason: 'REQUEST_ID_REUSED' });
  });

  it('lets one of many moves have a key', async () => {
    const { storage } = clients();
    const sources = Array.from({ length: 6 }, (_, at) => key(`race/${at}`));
    await recordAll(sources);
    const destinationKey = key('race/to');
    const outcomes = await Promise.allSettled(
      sources.map((sourceKey) => storage.moveObject({ sourceKey, destinationKey })),
    );
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    const live = await liveUnder(key('race/'));
    expect(live).toHaveLength(6);
    expect(live).toContain(destinationKey);
  });

  /** Lets a move begin while `text` is open elsewhere, and commits that once the move waits. */
  async function whileOpen(sourceKey: string, destinationKey: string, text: string[]) {
    const other = await service.database.connect();
    await other.query('begin');
    for (const each of text) await other.query(each, [destinationKey]);
    const move = failure(clients().storage.moveObject({ sourceKey, destinationKey }));
    await untilWaiting(service, 'MoveObject');
    await other.query('commit');
    return move;
  }

  const insertion = `insert into storage_objects (project_id, object_key, id, size, storage_backend,
    version_id) values ('default', $1, gen_random_uuid(), 1, 'local', 'v1')`;

  it('does not overwrite a key that is made while it runs', async () => {
    const [sourceKey, destinationKey] = [key('meanwhile/a'), key('meanwhile/b')];
    const before = await record(sourceKey);
    expect(await whileOpen(sourceKey, destinationKey, [insertion])).toMatchObject({
      reason: 'ALREADY_EXISTS',
      metadata: { object_key: destinationKey },
    });
    expect(await read(sourceKey)).toEqual(before);
    expect(await read(destinationKey)).toMatchObject({ storageBackend: 'local', revision: 1n });
  });

  it('does not take another content’s version that came and went while it runs', async () => {
    const [sourceKey, destinationKey] = [key('history/a'), key('history/b')];
    const before = await record(sourceKey, { versionId: 'v1' });
    const refused = await whileOpen(sourceKey, destinationKey, [
      insertion,
      `insert into storage_versions (project_id, object_key, version_id, size, last_modified)
       values ('default', $1, 'v1', 1, now())`,
      'update storage_objects set deleted_at = now(), revision = 2 where object_key = $1',
    ]);
    expect(refused).toMatchObject({ reason: 'OVERLOADED', retry: 'after_delay' });
    expect(await read(sourceKey)).toEqual(before);
    const { object } = await clients().storage.moveObject({ sourceKey, destinationKey });
    expect(object?.revision).toBe(3n);
    expect(object?.versionId).not.toBe('v1');
  });

  it('moves a prefix in one commit, and only what is live under it', async () => {
    const { storage } = clients();
    const names = ['a', 'b/c', 'ä', 'ж', '文件/🎉', ''];
    const sources = names.map((name) => key(`tree/old/${name}`));
    await recordAll([...sources, key('tree/old'), key('tree/old0'), key('tree/old/gone')]);
    await storage.deleteObject({ objectKey: key('tree/old/gone') });
    const request = { sourcePrefix: key('tree/old/'), destinationPrefix: key('tree/Neu–新/') };
    const { moved, resumeToken, token } = await storage.movePrefix(request);
    expect([moved, resumeToken]).toEqual([6n, '']);
    expect(token).not.toBe('');
    const destinations = names.map((name) => key(`tree/Neu–新/${name}`));
    expect((await liveUnder(key('tree/'))).sort()).toEqual(
      [...destinations, key('tree/old'), key('tree/old0')].sort(),
    );
    expect(await read(key('tree/Neu–新/文件/🎉'))).toMatchObject({ ...invoice, revision: 1n });
    const changes = await service.sql<{ object_key: string; commits: number }>(
      `select object_key, (count(*) over ())::int as rows,
         (dense_rank() over (order by xid::text))::int as commits
       from storage_changes c where starts_with(object_key, $1)
         and exists (select from storage_audit a where a.object_key = c.object_key
                     and a.xid = c.xid and a.action = 'MOVE_OBJECT')
       order by seq`,
      [key('tree/')],
    );
    expect(changes.map((row) => row.object_key)).toEqual(
      [...sources, ...destinations].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))),
    );
    expect(new Set(changes.map(({ commits }) => commits)).size).toBe(1);
    expect(await failure(storage.movePrefix(request))).toMatchObject({
      reason: 'OBJECT_NOT_FOUND',
      metadata: { prefix: request.sourcePrefix },
    });
  });

  it('goes on where a call ended, and each call can be repeated', async () => {
    const { storage } = clients();
    const name = (at: number) => String(at).padStart(4, '0');
    const [sourcePrefix, destinationPrefix] = [key('many/a/'), key('many/b/')];
    await recordAll(Array.from({ length: 2_100 }, (_, at) => sourcePrefix + name(at)));
    const request = { sourcePrefix, destinationPrefix };
    const first = await storage.movePrefix(request);
    expect(first.moved).toBe(1000n);
    await recordAll([`${sourcePrefix}0000`, `${sourcePrefix}1500x`]);
    const second = {
      ...request,
      resumeToken: first.resumeToken,
      requestId: randomUUID(),
    };
    const answer = await storage.movePrefix(second);
    expect(answer.moved).toBe(1000n);
    const repeated = await storage.movePrefix(second);
    expect(repeated).toMatchObject({ moved: 1000n, resumeToken: answer.resumeToken });
    const reused = storage.movePrefix({ ...second, resumeToken: answer.resumeToken });
    expect(await failure(reused)).toMatchObject({ reason: 'REQUEST_ID_REUSED' });
    const last = await storage.movePrefix({ ...request, resumeToken: answer.resumeToken });
    expect(last).toMatchObject({ moved: 101n, resumeToken: '' });
    expect(await liveUnder(sourcePrefix)).toEqual([`${sourcePrefix}0000`]);
    expect(await liveUnder(destinationPrefix)).toHaveLength(2_101);
    const after = await storage.movePrefix({ ...request, resumeToken: answer.resumeToken });
    expect(after).toMatchObject({ moved: 0n, resumeToken: '' });
  });

  it('refuses a resume token of another call', async () => {
    const { storage } = clients();
    const [sourcePrefix, destinationPrefix] = [key('token/a/'), key('token/b/')];
    await recordAll(Array.from({ length: 1_001 }, (_, at) => `${sourcePrefix}${at}`));
    const { resumeToken } = await storage.movePrefix({ sourcePrefix, destinationPrefix });
    expect(resumeToken).not.toBe('');
    const attempts: MovePrefix[] = [
      { sourcePrefix: key('token/a'), destinationPrefix, resumeToken },
      { sourcePrefix, destinationPrefix: key('token/c/'), resumeToken },
      { sourcePrefix, destinationPrefix, resumeToken: `${resumeToken}A` },
      { sourcePrefix, destinationPrefix, resumeToken, project: 'no-such' },
    ];
    for (const request of attempts) {
      expect(await failure(storage.movePrefix(request))).toMatchObject({
        reason: 'RESUME_TOKEN_MISMATCH',
      });
    }
    const stream = storage.streamObjects({ prefix: sourcePrefix, resumeToken });
    const streamed = (async () => {
      for await (const part of stream) expect(part.objects).toEqual([]);
    })();
    expect(await failure(streamed)).toMatchObject({ reason: 'RESUME_TOKEN_MISMATCH' });
    expect(await liveUnder(sourcePrefix)).toHaveLength(1);
  });

  it('moves nothing where one key is taken, and names the first', async () => {
    const { storage } = clients();
    const [sourcePrefix, destinationPrefix] = [key('way/a/'), key('way/b/')];
    await recordAll(['1', '2', '3'].map((name) => sourcePrefix + name));
    await recordAll(['3', '2'].map((name) => destinationPrefix + name));
    const refused = storage.movePrefix({ sourcePrefix, destinationPrefix });
    expect(await failure(refused)).toMatchObject({
      reason: 'ALREADY_EXISTS',
      metadata: { object_key: `${destinationPrefix}2` },
    });
    expect(await liveUnder(sourcePrefix)).toHaveLength(3);
    expect(await liveUnder(destinationPrefix)).toHaveLength(2);
  });

  it('refuses prefixes that overlap, and keys that would be too long', async () => {
    const { storage } = clients();
    const long = `${key('long/')}${'ж'.repeat(450)}`;
    await recordAll([`${key('long/')}a`, long]);
    const attempts: readonly (readonly [string, string, string])[] = [
      [key('long/'), key('long/a/'), 'destination_prefix'],
      [key('long/a/'), key('long/'), 'destination_prefix'],
      [key('long/'), key('long/'), 'destination_prefix'],
      [key('long/'), '', 'destination_prefix'],
      ['', key('x/'), 'source_prefix'],
      [key('long/'), 'y'.repeat(200), 'destination_prefix'],
    ];
    for (const [sourcePrefix, destinationPrefix, field] of attempts) {
      const refused = await failure(storage.movePrefix({ sourcePrefix, destinationPrefix }));
      expect(refused.reason).toBe('INVALID_REQUEST');
      expect(refused.violations.map((violation) => violation.field)).toEqual([field]);
    }
    const tooLong = storage.movePrefix({
      sourcePrefix: key('long/'),
      destinationPrefix: 'y'.repeat(200),
    });
    const named = (await failure(tooLong)).metadata['object_key'] ?? '';
    expect(named.slice(0, 200)).toBe(long.slice(0, 200));
    expect(await liveUnder(key('long/'))).toEqual([`${key('long/')}a`, long]);
  });
});
