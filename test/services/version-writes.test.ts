// Versions recorded, changed, restored and deleted through both doors: what each leaves of the
// object, of its history, of the feed and of the trail.
import { randomUUID } from 'node:crypto';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ObjectVersionSchema } from '../../gen/stowage/v1/version_pb.js';
import { doorNames, failure, startService, strong, type TestService } from '../support/service.js';

let service: TestService;

beforeAll(async () => {
  service = await startService();
});

afterAll(async () => {
  await service[Symbol.asyncDispose]();
});

type Version = Exclude<MessageInitShape<typeof ObjectVersionSchema>, { $typeName: string }>;

const second = (seconds: bigint) => ({ seconds, nanos: 0 });

describe.each(doorNames)('versions through %s', (door) => {
  const clients = () => service.doors[door];
  const keyOf = (name: string) => `${door}/${name}`;

  /** An object with the version `v1` of etag `e1`. */
  async function recordObject(name: string, fields: object = {}) {
    const given = { objectKey: keyOf(name), storageBackend: 's3', owner: 'acme', versionId: 'v1' };
    const content = { etag: 'e1', size: 1n, contentType: 'text/plain', metadata: { doc: 'draft' } };
    const object = { ...given, ...content, lastModified: second(100n), ...fields };
    const recorded = await clients().storage.recordObject({ object });
    if (recorded.object === undefined) throw new Error('nothing was recorded');
    return recorded.object;
  }

  const record = (version: Version, rest: { requestId?: string; ifRevision?: bigint } = {}) =>
    clients().versions.recordVersion({ version, ...rest });

  const objectOf = async (objectKey: string) => {
    const request = { objectKey, showDeleted: true, freshness: strong };
    return (await clients().storage.getObject(request)).object;
  };

  const versionOf = async (objectKey: string, versionId = '') => {
    const request = { objectKey, versionId, freshness: strong };
    return (await clients().versions.getVersion(request)).version;
  };

  const idsOf = async (objectKey: string) => {
    const { versions } = await clients().versions.listVersions({ objectKey, freshness: strong });
    return versions.map(({ versionId, isLatest }) => (isLatest ? `${versionId}*` : versionId));
  };

  /** The last changes of a key. */
  const changesOf = (objectKey: string, count: number) =>
    service.sql(
      `select kind, revision::int, version_id as version,
         array_to_string(changed_fields, ',') as fields
       from (select * from storage_changes where object_key = $1 order by seq desc limit $2) as last
       order by seq`,
      [objectKey, count],
    );

  const actionsOf = async (objectKey: string) => {
    const rows = await service.sql<{ told: string }>(
      `select concat_ws(' ', action, version_id, user_id) as told from storage_audit
       where object_key = $1 order by timestamp, id`,
      [objectKey],
    );
    return rows.map(({ told }) => told);
  };

  describe('recording', () => {
    it('makes a version of its own the latest, as the manual of old has it', async () => {
      const { objectKey } = await recordObject('documents/invoice-2024-001.pdf', {
        contentType: 'application/pdf',
        metadata: { owner: 'ACME Corp', department: 'Finance', doc_type: 'Invoice' },
      });
      const given = {
        objectKey,
        versionId: 'v2',
        size: 524500n,
        etag: 'new-etag-here',
        isLatest: true,
        createdBy: 'john@example.com',
        comment: 'Updated with corrected amounts',
        tags: { reviewed: 'true', approved: 'true' },
      };
      const { version, created, token } = await record(given);
      expect(created).toBe(true);
      expect(token).not.toBe('');
      expect(version).toMatchObject({
        ...given,
        contentType: 'application/pdf',
        metadata: { owner: 'ACME Corp', department: 'Finance', doc_type: 'Invoice' },
        deleteMarker: false,
        restoredFrom: '',
        revision: 1n,
      });
      expect(await objectOf(objectKey)).toMatchObject({
        versionId: 'v2',
        size: 524500n,
        etag: 'new-etag-here',
        contentType: 'application/pdf',
        owner: 'acme',
        revision: 2n,
      });
      const { versions } = await clients().versions.listVersions({ objectKey, freshness: strong });
      expect(versions).toMatchObject([version, { versionId: 'v1', isLatest: false, comment: '' }]);
      expect(await changesOf(objectKey, 1)).toEqual([
        {
          kind: 'object.updated',
          revision: 2,
          version: 'v2',
          fields: 'size,etag,last_modified,version_id',
        },
      ]);
      expect((await actionsOf(objectKey)).at(-1)).toMatch(/^RECORD_VERSION v2 \w+$/);
    });

    it('leaves the object as it is where the version is of its history alone', async () => {
      const before = await recordObject('history');
      const { objectKey } = before;
      const metadata = { doc: 'older', größe: [1, { a: null }] };
      const given = { objectKey, size: 7n, etag: 'e0', contentType: 'image/png', metadata };
      const { version } = await record({ ...given, lastModified: second(50n) });
      expect(version).toMatchObject({ ...given, lastModified: second(50n), isLatest: false });
      expect(version?.versionId).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7/);
      expect(version?.createdBy).toBe((await versionOf(objectKey))?.createdBy);
      expect(await objectOf(objectKey)).toEqual(before);
      expect(await idsOf(objectKey)).toEqual([version?.versionId, 'v1*']);
      expect(await changesOf(objectKey, 1)).toEqual([
        { kind: 'version.created', revision: 1, version: version?.versionId, fields: '' },
      ]);
    });

    it('takes empty metadata for none, and left out metadata for the object’s', async () => {
      const { objectKey } = await recordObject('metadata');
      await record({ objectKey, versionId: 'none', metadata: {}, isLatest: true });
      expect((await objectOf(objectKey))?.metadata).toBeUndefined();
      const { version } = await record({ objectKey, versionId: 'again' });
      expect(version?.metadata).toBeUndefined();
    });

    it('answers a version that is there as it was, and refuses another of its id', async () => {
      const { objectKey } = await recordObject('same');
      const given = { objectKey, versionId: 'v2', size: 5n, etag: 'e2', isLatest: true };
      const first = await record({ ...given, tags: { a: '1' } });
      await record({ objectKey, versionId: 'v3', isLatest: true });
      const again = await record({ ...given, comment: 'ignored' });
      expect(again).toMatchObject({ created: false, version: { isLatest: false, comment: '' } });
      expect({ ...again.version, isLatest: true }).toEqual(first.version);
      expect((await objectOf(objectKey))?.revision).toBe(3n);
      const others: [Partial<Version>, string][] = [
        [{ size: 6n }, 'size'],
        [{ etag: 'e3' }, 'etag'],
        [{ contentType: 'a/b' }, 'content_type'],
        [{ lastModified: second(1n) }, 'last_modified'],
        [{ createdBy: 'eve' }, 'created_by'],
        [{ metadata: {} }, 'metadata'],
      ];
      for (const [other, fact] of others) {
        const refused = await failure(record({ ...given, ...other }));
        expect(refused).toMatchObject({
          reason: 'ALREADY_EXISTS',
          metadata: { object_key: objectKey, version_id: 'v2' },
        });
        expect(refused.message).toContain(`another ${fact};`);
      }
      expect(await idsOf(objectKey)).toEqual(['v3*', 'v2', 'v1']);
    });

    it('needs an object that lives', async () => {
      const missing = keyOf('none');
      const attempt = () => record({ objectKey: missing, etag: 'e' });
      expect(await failure(attempt())).toMatchObject({
        reason: 'OBJECT_NOT_FOUND',
        metadata: { object_key: missing },
      });
      const { objectKey } = await recordObject('gone');
      await clients().storage.deleteObject({ objectKey });
      for (const isLatest of [true, false]) {
        const refused = await failure(record({ objectKey, etag: 'e', isLatest }));
        expect(refused.reason).toBe('OBJECT_NOT_FOUND');
      }
      expect(await idsOf(objectKey)).toHaveLength(2);
      const nowhere = clients().versions.recordVersion({
        project: 'nowhere',
        version: { objectKey },
      });
      expect(await failure(nowhere)).toMatchObject({ reason: 'PROJECT_NOT_FOUND' });
    });

    it('holds to the object’s revision', async () => {
      const { objectKey } = await recordObject('held');
      const held = record({ objectKey, versionId: 'v2', isLatest: true }, { ifRevision: 2n });
      expect(await failure(held)).toMatchObject({
        reason: 'REVISION_MISMATCH',
        metadata: { object_key: objectKey, revision: '1' },
      });
      await record({ objectKey, versionId: 'v2', isLatest: true }, { ifRevision: 1n });
      expect(await idsOf(objectKey)).toEqual(['v2*', 'v1']);
    });

    it('is done once under one request id', async () => {
      const { objectKey } = await recordObject('once');
      const requestId = randomUUID();
      const first = await record({ objectKey, isLatest: true }, { requestId });
      const again = await record({ objectKey, isLatest: true }, { requestId });
      expect({ ...again, token: '' }).toEqual({ ...first, token: '' });
      expect(await idsOf(objectKey)).toEqual([`${first.version?.versionId}*`, 'v1']);
      const other = record({ objectKey, isLatest: false }, { requestId });
      expect(await failure(other)).toMatchObject({ reason: 'REQUEST_ID_REUSED' });
    });

    it('lets search find what the object has from then on, and no longer what it had', async () => {
      const { objectKey } = await recordObject('searched', { metadata: { word: `before${door}` } });
      await record({ objectKey, isLatest: true, metadata: { word: `behind${door}` } });
      const hitsOf = async (query: string) => {
        const { hits } = await clients().storage.searchObjects({ query, freshness: strong });
        return hits.map(({ object }) => object?.objectKey);
      };
      expect(await hitsOf(`behind${door}`)).toEqual([objectKey]);
      expect(await hitsOf(`before${door}`)).toEqual([]);
    });

    it('refuses what no version can be', async () => {
      const { objectKey } = await recordObject('refused');
      const tags = (count: number) =>
        Object.fromEntries(Array.from({ length: count }, (_, at) => [`t${at}`, '']));
      const attempts: [Version | undefined, string][] = [
        [undefined, 'version'],
        [{ objectKey: '' }, 'version.object_key'],
        [{ objectKey, size: -1n }, 'version.size'],
        [{ objectKey, versionId: 'v'.repeat(1025) }, 'version.version_id'],
        [{ objectKey, etag: 'a\0b' }, 'version.etag'],
        [{ objectKey, comment: 'é'.repeat(2049) }, 'version.comment'],
        [{ objectKey, tags: tags(51) }, 'version.tags'],
        [{ objectKey, tags: { ['n'.repeat(129)]: '' } }, `version.tags["${'n'.repeat(129)}"]`],
        [{ objectKey, tags: { n: 'v'.repeat(257) } }, 'version.tags["n"]'],
        [{ objectKey, metadata: { big: 2 ** 60 } }, 'version.metadata.big'],
      ];
      for (const [version, field] of attempts) {
        const request = version === undefined ? {} : { version };
        const refused = await failure(clients().versions.recordVersion(request));
        expect(refused.reason, field).toBe('INVALID_REQUEST');
        expect(refused.violations.map((violation) => violation.field)).toContain(field);
      }
      await record({ objectKey, tags: tags(50), comment: 'é'.repeat(2048), versionId: '版' });
      expect(await idsOf(objectKey)).toEqual(['版', 'v1*']);
    });
  });

  describe('updating', () => {
    const update = (version: Version, paths: string[], rest: object = {}) =>
      clients().versions.updateVersion({ version, updateMask: { paths }, ...rest });

    it('changes what the mask names and nothing else', async () => {
      const { objectKey } = await recordObject('notes');
      const tags = { a: '1', 'b.c': '2', größe: '3' };
      await record({ objectKey, versionId: 'v2', comment: 'first', tags });
      const which = { objectKey, versionId: 'v2', size: 99n, etag: 'ignored' };
      const one = await update({ ...which, tags: { 'b.c': 'x', no: 'y' }, comment: 'no' }, [
        'tags.b.c',
        'tags.a',
      ]);
      expect(one.version).toMatchObject({ comment: 'first', size: 0n, revision: 2n });
      expect(one.version?.tags).toEqual({ 'b.c': 'x', größe: '3' });
      const two = await update({ ...which, tags: { z: '' }, comment: '' }, ['*']);
      expect(two.version).toMatchObject({ comment: '', tags: { z: '' }, revision: 3n });
      const same = await update({ ...which, tags: { z: '' }, comment: 'no' }, ['tags']);
      expect(same.version).toEqual(two.version);
      expect(same.token).not.toBe('');
      expect(await versionOf(objectKey, 'v2')).toEqual(two.version);
      expect(await changesOf(objectKey, 2)).toEqual([
        { kind: 'version.updated', revision: 1, version: 'v2', fields: 'tags' },
        { kind: 'version.updated', revision: 1, version: 'v2', fields: 'comment,tags' },
      ]);
      expect((await actionsOf(objectKey)).at(-1)).toMatch(/^UPDATE_VERSION v2 \w+$/);
    });

    it('begins with revision 1 where nothing was said of a version yet', async () => {
      const { objectKey } = await recordObject('silent');
      await clients().storage.deleteObject({ objectKey });
      const version = { objectKey, versionId: 'v1', comment: 'of what is deleted' };
      const held = update(version, ['comment'], { ifRevision: 2n });
      expect(await failure(held)).toMatchObject({
        reason: 'REVISION_MISMATCH',
        metadata: { object_key: objectKey, version_id: 'v1', revision: '1' },
      });
      const told = await update(version, ['comment'], { ifRevision: 1n });
      expect(told.version).toMatchObject({ comment: version.comment, revision: 2n });
      expect((await objectOf(objectKey))?.revision).toBe(2n);
    });

    it('refuses masks that name no note, and what is not there', async () => {
      const { objectKey } = await recordObject('masks');
      const version = { objectKey, versionId: 'v1' };
      const masks: [string[], string][] = [
        [[], 'is empty'],
        [['size'], 'is a fact'],
        [['metadata'], 'is a fact'],
        [['is_latest'], 'set by the service'],
        [['version_id'], 'which version is meant'],
        [['owner'], 'no field to change; name some of comment, tags, tags.<key>, or * alone'],
        [['tags', 'tags.a'], 'name one of the two'],
        [['*', 'tags'], 'stands alone'],
      ];
      for (const [paths, sentence] of masks) {
        const refused = await failure(update(version, paths));
        expect(refused.reason).toBe('INVALID_REQUEST');
        expect(refused.message).toContain(sentence);
      }
      const misread = update({ ...version, tags: { docType: '1' } }, ['tags.doc_type']);
      expect((await failure(misread)).message).toContain(
        'tags has \\"docType\\"'.replaceAll('\\', ''),
      );
      const nobody = update({ objectKey, versionId: '' }, ['comment']);
      expect((await failure(nobody)).violations).toMatchObject([{ field: 'version.version_id' }]);
      const other = update({ objectKey, versionId: 'v9', comment: 'x' }, ['comment']);
      expect(await failure(other)).toMatchObject({
        reason: 'VERSION_NOT_FOUND',
        metadata: { object_key: objectKey, version_id: 'v9' },
      });
      const none = update({ objectKey: keyOf('never'), versionId: 'v1' }, ['comment']);
      expect(await failure(none)).toMatchObject({ reason: 'OBJECT_NOT_FOUND' });
    });

    it('refuses tags that are too many only with those that are there', async () => {
      const { objectKey } = await recordObject('many-tags');
      const named = (from: number, to: number) =>
        Object.fromEntries(Array.from({ length: to - from }, (_, at) => [`t${at + from}`, 'v']));
      const version = { objectKey, versionId: 'v1' };
      await update({ ...version, tags: named(0, 30) }, ['tags']);
      const more = { ...version, tags: named(30, 51) };
      const refused = await failure(
        update(
          more,
          Object.keys(more.tags).map((tag) => `tags.${tag}`),
        ),
      );
      expect(refused.violations).toMatchObject([{ field: 'version.tags' }]);
      expect(Object.keys((await versionOf(objectKey, 'v1'))?.tags ?? {})).toHaveLength(30);
    });

    it('is done once under one request id', async () => {
      const { objectKey } = await recordObject('updated-once');
      const requestId = randomUUID();
      const version = { objectKey, versionId: 'v1', tags: { a: '1' } };
      const first = await update(version, ['tags.a'], { requestId });
      expect((await update(version, ['tags.a'], { requestId })).version).toEqual(first.version);
      const other = update(version, ['tags'], { requestId });
      expect(await failure(other)).toMatchObject({ reason: 'REQUEST_ID_REUSED' });
    });
  });
});
