// IngestObjects through both doors: acknowledged means committed, in order, and safe to send again.
import { randomUUID } from 'node:crypto';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { IngestObjectsRequestSchema } from '../../gen/stowage/v1/storage_record_pb.js';
import { doorNames, failure, startService, strong, type TestService } from '../support/service.js';

type Request = MessageInitShape<typeof IngestObjectsRequestSchema>;

let service: TestService;

beforeAll(async () => {
  // Thirty-two writers of the same keys wait for each other, on a slow machine longer than the
  // second after which a server turns callers away.
  service = await startService({ STOWAGE_QUEUE_TIMEOUT_MS: '20000' });
});

afterAll(async () => {
  await service[Symbol.asyncDispose]();
});

const objects = (prefix: string, count: number, etag = 'e') =>
  Array.from({ length: count }, (_, at) => ({
    objectKey: `${prefix}${String(at).padStart(4, '0')}`,
    storageBackend: 'local',
    etag,
  }));

async function* each(requests: readonly Request[]): AsyncGenerator<Request> {
  yield* requests;
}

describe.each(doorNames)('ingest through %s', (door) => {
  const clients = () => service.doors[door];
  const prefix = (name: string) => `${door}/${name}/`;

  async function ingest(requests: readonly Request[]) {
    const acks = [];
    for await (const ack of clients().storage.ingestObjects(each(requests))) acks.push(ack);
    return acks;
  }

  it('acknowledges batch by batch with the sender’s position', async () => {
    const at = prefix('order');
    const requests = [1, 2, 3].map((batch) => ({
      position: `file ${batch}`,
      objects: objects(`${at}${batch}/`, 300),
    }));
    const acks = await ingest(requests);
    expect(acks).toMatchObject(
      [1n, 2n, 3n].map((batch) => ({
        batch,
        resumePosition: `file ${batch}`,
        created: 300n,
        updated: 0n,
        unchanged: 0n,
      })),
    );
    const again = await ingest(requests.slice(1));
    expect(again.map(({ unchanged }) => unchanged)).toEqual([300n, 300n]);
    const changed = await ingest([{ objects: objects(`${at}1/`, 300, 'f').slice(0, 10) }]);
    expect(changed).toMatchObject([{ updated: 10n, created: 0n }]);
  });

  it('counts a batch that is sent again by its id as it was counted first', async () => {
    const request = { requestId: randomUUID(), objects: objects(prefix('again'), 50) };
    const [first] = await ingest([request]);
    const [again] = await ingest([request]);
    expect(again).toMatchObject({ created: first?.created, unchanged: 0n });
    const [row] = await service.sql(
      'select count(*)::int as changes from storage_changes where starts_with(object_key, $1)',
      [prefix('again')],
    );
    expect(row).toEqual({ changes: 50 });
  });

  it('ends at the first bad batch and keeps those before', async () => {
    const at = prefix('bad');
    const good = objects(`${at}good/`, 20);
    const bad = objects(`${at}bad/`, 20).map((object, index) =>
      index === 7 ? { ...object, size: -1n } : object,
    );
    const requests = [{ objects: good }, { objects: bad }, { objects: objects(`${at}late/`, 1) }];
    const acks: unknown[] = [];
    const run = async () => {
      for await (const ack of clients().storage.ingestObjects(each(requests))) acks.push(ack);
    };
    const refused = await failure(run());
    expect(refused).toMatchObject({ reason: 'INVALID_REQUEST' });
    expect(refused.violations.map(({ field }) => field)).toEqual(['objects[7].size']);
    expect(acks).toHaveLength(1);
    const listed = await clients().storage.listObjects({ prefix: at, freshness: strong });
    expect(listed.objects.map(({ objectKey }) => objectKey)).toEqual(
      good.map(({ objectKey }) => objectKey),
    );
  });

  it('refuses a change of project within a stream', async () => {
    await service.doors.gRPC.projects.createProject({
      project: { project: `p-${door.toLowerCase()}` },
    });
    const requests = [
      { objects: objects(prefix('wall'), 1) },
      { project: `p-${door.toLowerCase()}`, objects: objects(prefix('wall'), 1) },
    ];
    expect(await failure(ingest(requests))).toMatchObject({ reason: 'INVALID_REQUEST' });
  });

  it('is acknowledged with nothing for nothing', async () => {
    expect(await ingest([])).toEqual([]);
  });
});

describe('writers of the same keys', () => {
  it('settle on one row a key, one change a revision, whoever comes first', async () => {
    const { storage } = service.doors.gRPC;
    const keys = ['a', 'b', 'c', 'd'].map((name) => `race/${name}`);
    const writers = Array.from({ length: 32 }, async (_, writer) => {
      const order = writer % 2 === 0 ? keys : keys.toReversed();
      const requests = order.map((objectKey) => ({
        object: { objectKey, storageBackend: 's3', etag: `writer ${writer}` },
      }));
      await storage.batchRecordObjects({ requests });
    });
    await Promise.all(writers);
    const rows = await service.sql<{ object_key: string; revision: string; changes: string[] }>(
      `select object_key, revision::text, array(
         select revision::text from storage_changes c
         where c.object_key = o.object_key order by seq) as changes
       from storage_objects o where starts_with(object_key, 'race/') order by object_key`,
    );
    expect(rows.map((row) => row.object_key)).toEqual(keys);
    for (const row of rows) {
      expect(row.revision).toBe('32');
      expect(row.changes).toEqual(Array.from({ length: 32 }, (_, at) => String(at + 1)));
    }
  });

  it('let exactly one of many create a key', async () => {
    const { storage } = service.doors.gRPC;
    const attempts = Array.from({ length: 24 }, (_, at) =>
      storage
        .recordObject({
          object: { objectKey: 'race/once', storageBackend: 's3', etag: String(at) },
          ifAbsent: true,
        })
        .then(
          () => 'created',
          async (error: unknown) => (await failure(Promise.reject(error))).reason,
        ),
    );
    const outcomes = await Promise.all(attempts);
    expect(outcomes.filter((outcome) => outcome === 'created')).toHaveLength(1);
    expect(outcomes.filter((outcome) => outcome === 'ALREADY_EXISTS')).toHaveLength(23);
  });

  it('make one change of one request that is sent many times at once', async () => {
    const { storage } = service.doors.gRPC;
    const request = {
      requestId: randomUUID(),
      object: { objectKey: 'race/request', storageBackend: 's3' },
    };
    const answers = await Promise.all(
      Array.from({ length: 16 }, () => storage.recordObject(request)),
    );
    expect(new Set(answers.map(({ object }) => object?.id)).size).toBe(1);
    const [row] = await service.sql(
      `select count(*)::int as changes from storage_changes where object_key = 'race/request'`,
    );
    expect(row).toEqual({ changes: 1 });
  });
});
