// Pages and streams through both doors: order, filters, tokens, and what a stream sums up to.
import { toBinary } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ListObjectsResponseSchema } from '../../gen/stowage/v1/storage_list_pb.js';
import { until } from '../../src/lib/wait.js';
import { prefixCeiling } from '../../src/store/object-keys.js';
import { doorNames, failure, startService, strong, type TestService } from '../support/service.js';

const backends = ['local', 's3'];
const names = [
  'a',
  'a/b',
  'a0',
  'ä',
  '\u{FEFF}a',
  'документ',
  '文件',
  '\u{FFFD}',
  '\u{1F600}',
  'z',
];
const odd = [...names.map((name) => `odd/${name}`), '\u{FEFF}odd'];
const many = Array.from({ length: 2_500 }, (_, at) => `many/${String(at).padStart(5, '0')}`);

let service: TestService;

beforeAll(async () => {
  service = await startService();
  const { storage } = service.doors.gRPC;
  const objects = [...odd, ...many].map((objectKey, at) => ({
    objectKey,
    size: BigInt(at),
    storageBackend: backends[at % 2] ?? '',
    metadata: { at },
  }));
  for (let at = 0; at < objects.length; at += 1000) {
    const requests = objects.slice(at, at + 1000).map((object) => ({ object }));
    await storage.batchRecordObjects({ requests });
  }
  await storage.deleteObject({ objectKey: 'many/00007' });
  await service.waitUntilCaughtUp();
});

afterAll(async () => {
  await service[Symbol.asyncDispose]();
});

describe.each(doorNames)('listing through %s', (door) => {
  const clients = () => service.doors[door];
  const live = many.filter((key) => key !== 'many/00007');

  async function allPages(request: {
    prefix?: string;
    storageBackend?: string;
    pageSize?: number;
  }) {
    const keys: string[] = [];
    let pageToken = '';
    do {
      const page = await clients().storage.listObjects({
        ...request,
        pageToken,
        freshness: strong,
      });
      keys.push(...page.objects.map(({ objectKey }) => objectKey));
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    return keys;
  }

  it('lists in byte order, page by page, each key once', async () => {
    const sorted = odd.toSorted((left, right) =>
      Buffer.compare(Buffer.from(left), Buffer.from(right)),
    );
    const below = sorted.filter((key) => key.startsWith('odd/'));
    expect(await allPages({ prefix: 'odd/', pageSize: 2 })).toEqual(below);
    expect(await allPages({ prefix: '\u{FEFF}' })).toEqual(['\u{FEFF}odd']);
    expect(await allPages({ prefix: 'odd/a' })).toEqual(['odd/a', 'odd/a/b', 'odd/a0']);
    expect(await allPages({ prefix: 'many/', pageSize: 1000 })).toEqual(live);
    expect(await allPages({ prefix: 'none/' })).toEqual([]);
  });

  it('lists one backend', async () => {
    const s3 = [...odd, ...many]
      .filter((_, at) => at % 2 === 1)
      .filter((key) => key.startsWith('m'));
    const wanted = s3.filter((key) => key !== 'many/00007');
    expect(await allPages({ prefix: 'many/', storageBackend: 's3', pageSize: 700 })).toEqual(
      wanted,
    );
  });

  it('shows deleted objects where asked', async () => {
    const request = { prefix: 'many/0000', pageSize: 10, showDeleted: true, freshness: strong };
    const { objects } = await clients().storage.listObjects(request);
    expect(objects).toHaveLength(10);
    expect(objects[7]?.deletedAt).toBeDefined();
  });

  it('refuses page tokens that are altered or of another call', async () => {
    const { storage } = clients();
    const request = { prefix: 'many/', pageSize: 10, freshness: strong };
    const { nextPageToken } = await storage.listObjects(request);
    const altered = (nextPageToken.startsWith('A') ? 'B' : 'A') + nextPageToken.slice(1);
    const attempts = [
      { ...request, pageToken: altered },
      { ...request, pageToken: 'nonsense' },
      { ...request, prefix: 'odd/', pageToken: nextPageToken },
      { ...request, storageBackend: 's3', pageToken: nextPageToken },
      { ...request, showDeleted: true, pageToken: nextPageToken },
    ];
    for (const attempt of attempts) {
      const refused = await failure(storage.listObjects(attempt));
      expect(refused).toMatchObject({ reason: 'PAGE_TOKEN_INVALID' });
    }
    const larger = await storage.listObjects({
      ...request,
      pageSize: 20,
      pageToken: nextPageToken,
    });
    expect(larger.objects).toHaveLength(20);
  });

  async function stream(request: {
    prefix?: string;
    storageBackend?: string;
    resumeToken?: string;
  }) {
    const keys: string[] = [];
    const tokens: { token: string; items: number }[] = [];
    const messages = clients().storage.streamObjects({ ...request, freshness: strong });
    for await (const message of messages) {
      keys.push(...message.objects.map(({ objectKey }) => objectKey));
      tokens.push({ token: message.resumeToken, items: keys.length });
      if (message.summary) return { keys, tokens, summary: message.summary };
    }
    throw new Error('the stream ended without a summary');
  }

  it('streams everything once, and sums it up', async () => {
    const { keys, summary, tokens } = await stream({ prefix: 'many/' });
    expect(keys).toEqual(live);
    expect(summary.items).toBe(BigInt(live.length));
    expect(summary.token).not.toBe('');
    expect(tokens.length).toBeGreaterThan(2);
  });

  it('resumes behind any message, with the same sum at the end', async () => {
    const whole = await stream({ prefix: 'many/' });
    for (const { token, items } of whole.tokens) {
      const rest = await stream({ prefix: 'many/', resumeToken: token });
      expect(rest.keys).toEqual(live.slice(items));
      expect(rest.summary.crc32).toBe(whole.summary.crc32);
      expect(rest.summary.bytes).toBe(whole.summary.bytes);
      expect(rest.summary.items).toBe(whole.summary.items);
    }
  });

  it('refuses resume tokens of other arguments', async () => {
    const { tokens } = await stream({ prefix: 'many/' });
    const resumeToken = tokens[0]?.token ?? '';
    const attempts = [{ prefix: 'odd/' }, { prefix: 'many/', storageBackend: 's3' }];
    for (const request of attempts) {
      const refused = await failure(stream({ ...request, resumeToken }));
      expect(refused).toMatchObject({ reason: 'RESUME_TOKEN_MISMATCH' });
    }
  });

  it('streams from a standby', async () => {
    let servedBy = '';
    const onHeader = (headers: Headers) => {
      servedBy = headers.get('stowage-served-by') ?? '';
    };
    const freshness = { demand: { case: 'eventual', value: true } } as const;
    const isFromStandby = async () => {
      let items = 0;
      const roles = new Set<string>();
      for await (const message of clients().storage.streamObjects({ freshness }, { onHeader })) {
        items += message.objects.length;
        if (message.checkpoint && message.objects.length > 0) {
          roles.add(message.checkpoint.role);
          expect(message.checkpoint.items).toBe(BigInt(items));
        }
      }
      expect(items).toBe(odd.length + live.length);
      return servedBy.includes('role=standby') && [...roles].join() === 'standby';
    };
    // Standbys that a busy machine keeps from answering a probe are passed by for a moment.
    await until(isFromStandby, { timeoutMs: 20_000, what: 'a standby streams' });
  });

  it('knows no unknown project', async () => {
    const { storage } = clients();
    const project = 'nowhere';
    const reads = [
      () => storage.listObjects({ project }),
      () => storage.getObject({ project, objectKey: 'a' }),
      () => storage.batchGetObjects({ project, objectKeys: ['a'] }),
      () => storage.deleteObject({ project, objectKey: 'a' }),
      () => storage.recordObject({ project, object: { objectKey: 'a', storageBackend: 's3' } }),
    ];
    for (const read of reads) {
      expect(await failure(read())).toMatchObject({ reason: 'PROJECT_NOT_FOUND' });
    }
    const first = storage.streamObjects({ project })[Symbol.asyncIterator]().next();
    expect(await failure(first)).toMatchObject({ reason: 'PROJECT_NOT_FOUND' });
  });
});

describe('a page of wide objects', () => {
  it('ends near 1 MiB whatever of them is wide, and is never empty', async () => {
    await using wide = await startService();
    await wide.sql(
      `insert into storage_objects (project_id, object_key, id, size, storage_backend, version_id,
         etag, content_type, owner, metadata)
       select 'default', 'k' || n, gen_random_uuid(), 0, 's3', repeat('v', 1024),
         repeat('e', 256), repeat('c', 255), repeat('o', 256),
         case n when 2 then jsonb_build_object('large', array_fill(1e300, array[9000]))
                else jsonb_build_object('text', repeat('t', 500)) end
       from generate_series(1, 1000) n`,
    );
    const { storage } = wide.doors.gRPC;
    let objects = 0;
    let pageToken = '';
    do {
      const page = await storage.listObjects({ pageSize: 1000, pageToken, freshness: strong });
      expect(page.objects.length).toBeGreaterThan(0);
      const bytes = toBinary(ListObjectsResponseSchema, page).length;
      expect(bytes).toBeLessThan(1.1 * 1024 * 1024);
      objects += page.objects.length;
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    expect(objects).toBe(1000);
  });
});

describe('a stream that has to wait', () => {
  it('sends heartbeats that say where it stands', async () => {
    await using quick = await startService({
      STOWAGE_STREAM_HEARTBEAT_MS: '20',
      STOWAGE_LOCK_TIMEOUT_MS: '60000',
    });
    const holder = await quick.database.connect();
    await holder.query('begin');
    await holder.query('lock table storage_objects in access exclusive mode');
    const { storage } = quick.doors.gRPC;
    const silent: bigint[] = [];
    for await (const message of storage.streamObjects({ freshness: strong })) {
      if (message.summary) break;
      expect(message.objects).toEqual([]);
      silent.push(message.checkpoint?.items ?? -1n);
      if (silent.length === 3) await holder.query('commit');
    }
    expect(silent.slice(0, 3)).toEqual([0n, 0n, 0n]);
  });
});

describe('prefixCeiling against the database', () => {
  it('bounds as starts_with does', async () => {
    const prefixes = ['', 'odd/', 'odd/a', 'odd/\u{FFFD}', 'odd/\u{1F600}', 'm', '\u{10FFFF}'];
    for (const prefix of prefixes) {
      const [row] = await service.sql<{ ranged: string; prefixed: string }>(
        `select count(*) filter (where object_key >= $1 and object_key < $2) as ranged,
           count(*) filter (where starts_with(object_key, $1)) as prefixed
         from storage_objects`,
        [prefix, prefixCeiling(prefix)],
      );
      expect(row?.ranged).toBe(row?.prefixed);
    }
  });
});
