// Counts under a prefix, and filtered streams, through both doors.
import type { MessageInitShape } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { StreamObjectsRequestSchema } from '../../gen/stowage/v1/storage_list_pb.js';
import { doorNames, failure, startService, strong, type TestService } from '../support/service.js';

const project = 'counted';
const COUNT = 50_000;

let service: TestService;

beforeAll(async () => {
  service = await startService();
  await service.doors.gRPC.projects.createProject({ project: { project } });
  await service.sql(
    `insert into storage_objects (project_id, object_key, id, size, storage_backend, version_id,
       storage_class, metadata, deleted_at)
     select $1, (array['Фото', '写真', '\u{1F600}'])[1 + n % 3] || '/' || n, gen_random_uuid(), n,
       (array['s3', 'local'])[1 + n % 2], 'v',
       case when n % 20000 = 7 then 'RARE' else 'STANDARD' end,
       jsonb_build_object('even', n % 2 = 0), case when n % 10 = 0 then now() end
     from generate_series(0, $2::int - 1) as n`,
    [project, COUNT],
  );
  await service.sql(
    `insert into storage_objects (project_id, object_key, id, size, storage_backend, version_id)
     select $1, prefix || n || '/x', gen_random_uuid(), 9e18, 's3', 'v'
     from generate_series(1, 1001) as n, unnest(array['zz/']) as prefix`,
    [project],
  );
});

afterAll(async () => {
  await service[Symbol.asyncDispose]();
});

const all = Array.from({ length: COUNT }, (_, n) => ({
  key: `${['Фото', '写真', '\u{1F600}'][n % 3]}/${n}`,
  n,
  size: BigInt(n),
  isLive: n % 10 !== 0,
}));
const live = all.filter(({ isLive }) => isLive);
const sum = (objects: readonly { size: bigint }[]) =>
  objects.reduce((total, { size }) => total + size, 0n);
const inBytes = (left: { key: string }, right: { key: string }) =>
  Buffer.compare(Buffer.from(left.key), Buffer.from(right.key));

describe.each(doorNames)('usage through %s', (door) => {
  const storage = () => service.doors[door].storage;
  const usage = (request: { prefix?: string; delimiter?: string; storageBackend?: string }) =>
    storage().getUsage({ project, freshness: strong, ...request });

  it('counts live objects and their bytes under a prefix', async () => {
    const below = live.filter(({ key }) => key.startsWith('写真/'));
    const { objects, bytes, folders, truncated } = await usage({ prefix: '写真/' });
    expect([objects, bytes]).toEqual([BigInt(below.length), sum(below)]);
    expect(folders).toEqual([]);
    expect(truncated).toBe(false);
    const s3 = below.filter(({ n }) => n % 2 === 0);
    const ofBackend = await usage({ prefix: '写真/', storageBackend: 's3' });
    expect([ofBackend.objects, ofBackend.bytes]).toEqual([BigInt(s3.length), sum(s3)]);
    expect((await usage({ prefix: 'none' })).objects).toBe(0n);
  });

  it('counts each folder too, in byte order', async () => {
    const { folders, objects } = await usage({ delimiter: '/' });
    const named = folders.filter(({ folder }) => folder !== 'zz/');
    const wanted = ['Фото/', '写真/', '\u{1F600}/'].map((folder) => {
      const inside = live.filter(({ key }) => key.startsWith(folder));
      return { folder, objects: BigInt(inside.length), bytes: sum(inside) };
    });
    expect(named).toMatchObject(wanted);
    expect(folders.map(({ folder }) => folder)).toEqual([
      'zz/',
      ...wanted.map((each) => each.folder),
    ]);
    expect(objects).toBe(BigInt(live.length + 1001));
    const flat = await usage({ prefix: '写真/', delimiter: '/' });
    expect(flat.folders).toEqual([]);
    expect(flat.objects).toBeGreaterThan(0n);
  });

  it('lists a thousand folders and says that there are more', async () => {
    const { folders, truncated, objects, bytes } = await usage({ prefix: 'zz/', delimiter: '/' });
    expect(folders).toHaveLength(1000);
    expect(truncated).toBe(true);
    expect(objects).toBe(1001n);
    // More than an int64 holds.
    expect(bytes).toBe(2n ** 63n - 1n);
  });

  it('knows no project that is not there, and no delimiter of 17 bytes', async () => {
    const nowhere = await failure(storage().getUsage({ project: 'nowhere' }));
    expect(nowhere).toMatchObject({ reason: 'PROJECT_NOT_FOUND' });
    const refused = await failure(usage({ delimiter: '/'.repeat(17) }));
    expect(refused).toMatchObject({
      reason: 'INVALID_REQUEST',
      violations: [{ field: 'delimiter' }],
    });
  });

  type Request = Exclude<
    MessageInitShape<typeof StreamObjectsRequestSchema>,
    { $typeName: string }
  >;

  async function stream(request: Request) {
    const keys: string[] = [];
    const tokens: { token: string; items: number }[] = [];
    const asked = { project, freshness: strong, ...request };
    for await (const message of storage().streamObjects(asked)) {
      keys.push(...message.objects.map(({ objectKey }) => objectKey));
      tokens.push({ token: message.resumeToken, items: keys.length });
      if (message.summary) return { keys, tokens, summary: message.summary };
    }
    throw new Error('the stream ended without a summary');
  }
  const keysOf = (objects: readonly { key: string }[]) =>
    objects.toSorted(inBytes).map(({ key }) => key);

  it('streams what a filter lets through, however far apart that is', async () => {
    const rare = keysOf(live.filter(({ n }) => n % 20_000 === 7));
    expect((await stream({ storageClass: 'RARE' })).keys).toEqual(rare);
    expect((await stream({ storageClass: 'RARE', storageBackend: 's3' })).keys).toEqual([]);
    const even = keysOf(live.filter(({ n }) => n % 2 === 0));
    const got = await stream({ metadataFilter: { even: true } });
    expect(got.keys).toEqual(even);
    expect(got.summary.items).toBe(BigInt(even.length));
    const below = keysOf(live.filter(({ key, n }) => n % 2 === 0 && key.startsWith('Фото/')));
    expect((await stream({ metadataFilter: { even: true }, prefix: 'Фото/' })).keys).toEqual(below);
    const local = keysOf(all.filter(({ n }) => n % 2 === 1));
    expect((await stream({ storageBackend: 'local', showDeleted: true })).keys).toEqual(local);
  });

  it('resumes a filtered stream behind any message with the same sum', async () => {
    const request = { storageClass: 'RARE' };
    const whole = await stream(request);
    for (const { token, items } of whole.tokens) {
      const rest = await stream({ ...request, resumeToken: token });
      expect(rest.keys).toEqual(whole.keys.slice(items));
      expect(rest.summary.crc32).toBe(whole.summary.crc32);
    }
    const resumeToken = whole.tokens[0]?.token ?? '';
    for (const other of [{ storageClass: '' }, { ...request, metadataFilter: { even: true } }]) {
      const refused = await failure(stream({ ...other, resumeToken }));
      expect(refused).toMatchObject({ reason: 'RESUME_TOKEN_MISMATCH' });
    }
  });
});
