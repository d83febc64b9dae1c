// Duplicates through both doors: which groups, in which order, and what their stream sums up to.
import { crc32 } from 'node:zlib';
import { create, toBinary } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type DuplicateGroup,
  FindDuplicatesResponseSchema,
} from '../../gen/stowage/v1/storage_report_pb.js';
import { doorNames, failure, startService, strong, type TestService } from '../support/service.js';

/**
 * A slice looks at 20,000 entries: one group is larger, the others lie in several slices, and one
 * of them, a pair, begins with the last entry of the first slice.
 */
const MANY = 25_000;
const SPREAD = 44_999;

let service: TestService;

beforeAll(async () => {
  service = await startService();
  const { projects, storage } = service.doors.gRPC;
  for (const project of ['small', 'large']) {
    await projects.createProject({ project: { project, name: project } });
  }
  const objects: readonly (readonly [key: string, size: bigint, etag: string, backend?: string])[] =
    [
      ['b/größe', 900n, 'one'],
      ['b/文件', 900n, 'one'],
      ['b/документ', 900n, 'one'],
      ['b/\u{1F600}', 900n, 'one'],
      ['a', 900n, 'one', 'local'],
      ['c1', 900n, 'two'],
      ['c2', 900n, 'two'],
      ['size1', 10n, 'three'],
      ['size2', 11n, 'three'],
      ['bare1', 700n, ''],
      ['bare2', 700n, ''],
      ['gone1', 600n, 'gone'],
      ['gone2', 600n, 'gone'],
      ['huge1', 2n ** 62n, 'huge'],
      ['huge2', 2n ** 62n, 'huge'],
      ['huge3', 2n ** 62n, 'huge'],
      ['empty1', 0n, 'nothing'],
      ['empty2', 0n, 'nothing'],
    ];
  const requests = objects.map(([objectKey, size, etag, storageBackend = 's3']) => ({
    object: { objectKey, size, etag, storageBackend },
  }));
  await storage.batchRecordObjects({ project: 'small', requests });
  await storage.deleteObject({ project: 'small', objectKey: 'gone2' });
  await service.sql(
    `insert into storage_objects (project_id, object_key, id, size, etag, storage_backend)
     select 'large', 'spread/' || lpad(n::text, 6, '0'), gen_random_uuid(),
       100000 + case when n % 500 = 0 then n - 1 else n end,
       case when n % 500 = 0 then 'e' || n - 1 else 'e' || n end, 's3'
     from generate_series(1, $1) n
     union all
     select 'large', 'many/' || lpad(n::text, 6, '0'), gen_random_uuid(), 50, 'many', 'local'
     from generate_series(1, $2) n`,
    [SPREAD, MANY],
  );
  await service.sql('vacuum analyze storage_objects');
  await service.waitUntilCaughtUp();
});

afterAll(async () => {
  await service[Symbol.asyncDispose]();
});

describe.each(doorNames)('duplicates through %s', (door) => {
  const clients = () => service.doors[door];

  async function find(request: {
    project?: string;
    prefix?: string;
    storageBackend?: string;
    minSize?: bigint;
    resumeToken?: string;
  }) {
    const groups: DuplicateGroup[] = [];
    const tokens: { token: string; groups: number }[] = [];
    const stream = clients().storage.findDuplicates({ ...request, freshness: strong });
    for await (const message of stream) {
      groups.push(...message.groups);
      tokens.push({ token: message.resumeToken, groups: groups.length });
      const { summary, checkpoint } = message;
      const resumed = request.resumeToken !== undefined;
      if (!resumed) expect(checkpoint?.items).toBe(BigInt(groups.length));
      if (message.groups.length > 0) {
        const items = create(FindDuplicatesResponseSchema, { groups: message.groups });
        const bytes = toBinary(FindDuplicatesResponseSchema, items);
        expect(message.crc32).toBe(crc32(bytes));
      }
      if (summary) return { groups, tokens, summary };
    }
    throw new Error('the stream ended without a summary');
  }

  const facts = (groups: readonly DuplicateGroup[]) =>
    groups.map(({ etag, size, objects, objectKeys }) => [etag, size, objects, objectKeys]);

  const first = ['a', 'b/größe', 'b/документ', 'b/文件', 'b/\u{1F600}'];

  it('gives live objects of one etag and size, the largest first, keys in byte order', async () => {
    const { groups, summary } = await find({ project: 'small' });
    expect(facts(groups)).toEqual([
      ['huge', 2n ** 62n, 3n, ['huge1', 'huge2', 'huge3']],
      ['two', 900n, 2n, ['c1', 'c2']],
      ['one', 900n, 5n, first],
      ['nothing', 0n, 2n, ['empty1', 'empty2']],
    ]);
    expect(summary.items).toBe(4n);
    expect(summary.token).not.toBe('');
  });

  it('says what all but one of a group take, as far as a number can', async () => {
    const { groups } = await find({ project: 'small' });
    expect(groups.map(({ reclaimableBytes }) => reclaimableBytes)).toEqual([
      2n ** 63n - 1n,
      900n,
      3600n,
      0n,
    ]);
  });

  it('finds within a prefix, a backend and sizes', async () => {
    const small = async (request: Parameters<typeof find>[0]) =>
      facts((await find({ project: 'small', ...request })).groups).map(([etag, , count]) => [
        etag,
        count,
      ]);
    expect(await small({ prefix: 'b/' })).toEqual([['one', 4n]]);
    expect(await small({ storageBackend: 'local' })).toEqual([]);
    expect(await small({ storageBackend: 's3', minSize: 900n })).toEqual([
      ['huge', 3n],
      ['two', 2n],
      ['one', 4n],
    ]);
    expect(await small({ minSize: 901n })).toEqual([['huge', 3n]]);
    expect(await small({ prefix: 'c1' })).toEqual([]);
  });

  it('counts a group of any size, and names its first hundred keys', async () => {
    const { groups } = await find({ project: 'large', storageBackend: 'local' });
    expect(groups).toHaveLength(1);
    expect(groups[0]).toMatchObject({ etag: 'many', size: 50n, objects: BigInt(MANY) });
    expect(groups[0]?.objectKeys).toEqual(
      Array.from({ length: 100 }, (_, at) => `many/${String(at + 1).padStart(6, '0')}`),
    );
  });

  it('misses and doubles nothing over its slices, as one query of all shows', async () => {
    const { groups, summary } = await find({ project: 'large' });
    const wanted = await service.sql<{ etag: string; objects: string }>(
      `select etag, count(*) as objects from storage_objects where project_id = 'large'
       group by size, etag having count(*) > 1 order by size desc, etag desc`,
    );
    expect(wanted.length).toBe(Math.floor(SPREAD / 500) + 1);
    expect(groups.map(({ etag, objects }) => ({ etag, objects: String(objects) }))).toEqual(wanted);
    expect(summary.items).toBe(BigInt(wanted.length));
  });

  it('resumes behind any message, with the same sum at the end', async () => {
    for (const project of ['small', 'large']) {
      const whole = await find({ project });
      expect(whole.tokens.length).toBeGreaterThan(1);
      for (const { token, groups } of whole.tokens) {
        const rest = await find({ project, resumeToken: token });
        expect(rest.groups).toEqual(whole.groups.slice(groups));
        expect({ ...rest.summary, token: '' }).toEqual({ ...whole.summary, token: '' });
      }
    }
  });

  it('refuses resume tokens of other arguments', async () => {
    const { tokens } = await find({ project: 'small' });
    const resumeToken = tokens[0]?.token ?? '';
    const attempts = [
      { project: 'large' },
      { project: 'small', prefix: 'b' },
      { project: 'small', storageBackend: 's3' },
      { project: 'small', minSize: 1n },
    ];
    for (const request of attempts) {
      const refused = await failure(find({ ...request, resumeToken }));
      expect(refused).toMatchObject({ reason: 'RESUME_TOKEN_MISMATCH' });
    }
  });

  it('refuses bad arguments and unknown projects', async () => {
    const negative = await failure(find({ minSize: -1n }));
    expect(negative).toMatchObject({ reason: 'INVALID_REQUEST' });
    expect(negative.violations.map(({ field }) => field)).toEqual(['min_size']);
    expect(await failure(find({ project: 'nowhere' }))).toMatchObject({
      reason: 'PROJECT_NOT_FOUND',
    });
  });

  it('streams from a standby', async () => {
    const freshness = { demand: { case: 'eventual', value: true } } as const;
    const stream = clients().storage.findDuplicates({ project: 'small', freshness });
    const roles = new Set<string>();
    for await (const { groups, checkpoint } of stream) {
      if (groups.length > 0) roles.add(checkpoint?.role ?? '');
    }
    expect([...roles]).toEqual(['standby']);
  });
});

describe('a search for duplicates that has to wait', () => {
  it('sends heartbeats', async () => {
    await using quick = await startService({
      STOWAGE_STREAM_HEARTBEAT_MS: '20',
      STOWAGE_LOCK_TIMEOUT_MS: '60000',
    });
    const holder = await quick.database.connect();
    await holder.query('begin');
    await holder.query('lock table storage_objects in access exclusive mode');
    let beats = 0;
    for await (const message of quick.doors.gRPC.storage.findDuplicates({ freshness: strong })) {
      expect(message.groups).toEqual([]);
      if (message.summary) break;
      beats += 1;
      if (beats === 3) await holder.query('commit');
    }
    expect(beats).toBeGreaterThanOrEqual(3);
  });
});
