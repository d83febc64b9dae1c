// Lists of more objects than a page looks at: empty pages, and the index of the metadata.
import type { MessageInitShape } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ListObjectsRequestSchema } from '../../gen/stowage/v1/storage_list_pb.js';
import { startService, strong, type TestService } from '../support/service.js';

type Request = Exclude<MessageInitShape<typeof ListObjectsRequestSchema>, { $typeName: string }>;

let service: TestService;

beforeAll(async () => {
  service = await startService();
});

afterAll(async () => {
  await service[Symbol.asyncDispose]();
});

describe('a list of more than a page may look at', () => {
  const project = 'large';
  const count = 25_000;
  const key = (at: number) => `k/${String(at).padStart(5, '0')}`;

  beforeAll(async () => {
    await service.doors.gRPC.projects.createProject({ project: { project } });
    await service.sql(
      `insert into storage_objects (project_id, object_key, id, size, storage_backend, version_id,
         storage_class, metadata)
       select $1, 'k/' || lpad(n::text, 5, '0'), gen_random_uuid(), n, 's3', 'v',
         case when n = $2::int - 1 then 'LAST' else 'STANDARD' end,
         case when n >= 12000 then '{"late": true}' else '{}' end::jsonb
           || case when n % 10000 = 9 then '{"rare": "да"}' else '{}' end::jsonb
       from generate_series(0, $2::int - 1) as n`,
      [project, count],
    );
  });

  async function walk(request: Request) {
    const pages: string[][] = [];
    let pageToken = '';
    do {
      const asked = { ...request, project, pageToken, freshness: strong };
      const page = await service.doors.gRPC.storage.listObjects(asked);
      pages.push(page.objects.map(({ objectKey }) => objectKey));
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    return pages;
  }

  it('goes on over empty pages to the one object that matches', async () => {
    expect(await walk({ storageClass: 'LAST' })).toEqual([[], [], [key(count - 1)]]);
    expect(await walk({ storageClass: 'LAST', orderBy: 'size desc' })).toEqual([
      [key(count - 1)],
      [],
      [],
    ]);
    expect((await walk({ storageClass: 'NONE' })).flat()).toEqual([]);
  });

  it('finds the few that match at once by the index of the metadata, in every order', async () => {
    const few = [9, 10_009, 20_009].map(key);
    const metadataFilter = { rare: 'да' };
    expect(await walk({ metadataFilter })).toEqual([few]);
    expect(await walk({ metadataFilter, orderBy: 'object_key desc' })).toEqual([few.toReversed()]);
    expect(await walk({ metadataFilter, orderBy: 'size' })).toEqual([few]);
    expect(await walk({ metadataFilter, orderBy: 'size desc' })).toEqual([few.toReversed()]);
    expect((await walk({ metadataFilter, orderBy: 'last_modified' })).flat()).toEqual(few);
    expect(await walk({ metadataFilter, showDeleted: true })).toEqual([few]);
    expect(await walk({ metadataFilter, pageSize: 2 })).toEqual([few.slice(0, 2), few.slice(2)]);
    expect(await walk({ metadataFilter, prefix: 'k/1' })).toEqual([few.slice(1, 2)]);
    expect(await walk({ metadataFilter, storageBackend: 'local' })).toEqual([[]]);
  });

  it('scans on where too much matches for that index', async () => {
    const pages = await walk({ metadataFilter: { late: true }, pageSize: 1000 });
    expect(pages[0]).toEqual([]);
    expect(pages.flat()).toEqual(
      Array.from({ length: count - 12_000 }, (_, at) => key(at + 12_000)),
    );
  });
});
