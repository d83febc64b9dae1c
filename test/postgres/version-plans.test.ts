// What versions cost on a key with 20,000 of them, in pages, by plans that know no parameters; and
// that pruning in small steps comes to what its criteria say.
import { create } from '@bufbuild/protobuf';
import { beforeAll, describe, expect, it } from 'vitest';
import { PruneVersionsRequestSchema } from '../../gen/stowage/v1/version_prune_pb.js';
import type { Statement } from '../../src/postgres/statement.js';
import { countPrunable, pruneVersions } from '../../src/store/prune-versions.js';
import { confirmOldVersions, findOldVersions } from '../../src/store/prune-versions.sql.js';
import type { Store } from '../../src/store/store.js';
import { makeLatest, newestOther } from '../../src/store/version-changes.sql.js';
import { getVersions, listVersions } from '../../src/store/version-reads.sql.js';
import type { TestConnection } from '../support/database.js';
import { explain } from '../support/explain.js';
import { keeping } from '../support/keeping.js';
import { testCall } from '../support/router.js';
import { useRouter } from '../support/use-router.js';

const fixture = useRouter();

let service: TestConnection;

const VERSIONS = 20_000;

/** Among keys with one or two versions, one with many; each tenth version has notes. */
const rows = [
  `insert into storage_objects (project_id, object_key, id, size, version_id)
   select 'default', case when n = 0 then 'heavy' else 'light/' || n end, gen_random_uuid(), 1,
     case when n = 0 then 'v' || ${VERSIONS} else 'v1' end
   from generate_series(0, 2000) n`,
  `insert into storage_versions (project_id, object_key, version_id, size, last_modified)
   select 'default', case when n % 2 = 0 then 'heavy' else 'light/' || (n / 2) % 2000 + 1 end,
     case when n % 2 = 0 then 'v' || n / 2 else 'v' || n / 4000 + 1 end, 1, now()
   from generate_series(2, ${2 * VERSIONS}) n where n % 2 = 0 or n < 8000`,
  `insert into storage_version_notes (project_id, object_key, version_id, comment)
   select project_id, object_key, version_id, 'x' from storage_versions where seq % 10 = 0`,
  'analyze storage_objects, storage_versions, storage_version_notes',
];

beforeAll(async () => {
  for (const text of rows) await fixture.admin.query(text);
  service = await fixture.database.connect(fixture.database.serviceUrl);
}, 60_000);

async function buffersOf(statement: Statement<unknown>, params: readonly unknown[]) {
  const { nodes, buffers, plan } = await explain(service, statement, params);
  expect(nodes, plan).not.toContain('Seq Scan');
  return buffers;
}

describe('a key with many versions', () => {
  it('is listed at the same cost at any depth', async () => {
    const seqs = await fixture.admin.query<{ seq: string }>(
      `select seq::text from storage_versions where object_key = 'heavy'
       order by seq desc offset 18000 limit 1`,
    );
    const page = (before: unknown) => buffersOf(listVersions, ['default', 'heavy', before, 101]);
    const first = await page(2n ** 63n - 1n);
    const deep = await page(seqs[0]?.seq);
    // A page of the index and the table for many versions, and some for the notes of each.
    expect(first).toBeLessThan(600);
    expect(deep).toBeLessThan(2 * first);
  });

  it('is read and changed by looking at what is asked for', async () => {
    const asked: [Statement<unknown>, readonly unknown[]][] = [
      [getVersions, ['default', 'heavy', ['v7', '']]],
      [newestOther, ['default', 'heavy', `v${VERSIONS}`]],
      [makeLatest, ['default', 'heavy', 'v7']],
    ];
    for (const [statement, params] of asked) {
      expect(await buffersOf(statement, params), statement.name).toBeLessThan(100);
    }
  });

  it('is pruned by reading one slice, and of the newest only as many as are kept', async () => {
    const [{ seq: middle } = { seq: '' }] = await fixture.admin.query<{ seq: string }>(
      `select seq::text from storage_versions where object_key = 'heavy' and version_id = 'v10000'`,
    );
    const slices = [
      { range: ['heavy', 'heavy\u0001'], from: ['', 0n, 0n] },
      { range: ['heavy', 'heavy\u0001'], from: ['heavy', middle, 10_000n] },
      { range: ['', 'z'], from: ['', 0n, 0n] },
      { range: ['', 'z'], from: ['heavy', 1n, 20_000n] },
    ];
    for (const { range, from } of slices) {
      const params = ['default', ...range, ...from, 1500, 0, null, 1000];
      const { rowsOfStep, plan } = await explain(service, findOldVersions, params);
      expect(rowsOfStep, plan).toBeLessThanOrEqual(1501);
    }
    const ids = Array.from({ length: 1000 }, (_, at) => `v${at + 1}`);
    const params = ['default', ids.map(() => 'heavy'), ids, 5000, null];
    const confirmed = await explain(service, confirmOldVersions, params);
    expect(confirmed.rows, confirmed.plan).toBe(1000);
    expect(confirmed.rowsOfStep, confirmed.plan).toBeLessThanOrEqual(5001);
  });
});

describe('pruning in small steps', () => {
  const storeOf = (): Store => ({
    router: fixture.router,
    sealer: fixture.router.sealer,
    heartbeatMs: 1000,
    keeping,
  });

  /** Keys with up to 40 versions, whose latest is any of them. */
  const plant = (project: string) =>
    fixture.admin.query(
      `with made as (
         insert into storage_versions (project_id, object_key, version_id, size, last_modified,
           created_at)
         select $1, 'k' || k, 'v' || n, n, now(),
           timestamptz '2025-01-01' + make_interval(days => (n * 7 + k) % 40)
         from generate_series(1, 12) k, generate_series(1, 1 + k * k % 40) n
       )
       insert into storage_objects (project_id, object_key, id, size, version_id)
       select $1, 'k' || k, gen_random_uuid(), 1, 'v' || 1 + k * k % 40 - k % (1 + k * k % 40)
       from generate_series(1, 12) k`,
      [project],
    );

  /** What is left where the criteria hold: rank by rank, without the product's statements. */
  const doomedOf = (project: string, keepNewest: number, before: string | null) =>
    fixture.admin.query<{ id: string; size: string }>(
      `select v.object_key || ' ' || v.version_id as id, size::text
       from (
         select *, rank() over (partition by object_key order by seq desc) as place
         from storage_versions where project_id = $1
       ) as v
       where place > $2 and ($3::timestamptz is null or created_at < $3)
         and not exists (select from storage_objects o where o.project_id = $1
           and o.object_key = v.object_key and o.version_id = v.version_id)
       order by 1`,
      [project, keepNewest, before],
    );

  const idsOf = async (project: string) => {
    const left = await fixture.admin.query<{ id: string }>(
      `select object_key || ' ' || version_id as id from storage_versions
       where project_id = $1 order by 1`,
      [project],
    );
    return left.map(({ id }) => id);
  };

  it.each([
    [3, null, { versionsMax: 5, sliceRows: 7, slicesMax: 2 }],
    [1, '2025-01-20T00:00:00Z', { versionsMax: 1000, sliceRows: 10, slicesMax: 3 }],
    [0, '2025-01-11T00:00:00Z', { versionsMax: 2, sliceRows: 3, slicesMax: 1 }],
    [25, null, { versionsMax: 1000, sliceRows: 4, slicesMax: 1 }],
  ])('deletes what %i and %s let go, by %o', async (keepNewest, before, bounds) => {
    const project = `p-${keepNewest}`;
    await fixture.admin.query('insert into projects (project_id) values ($1)', [project]);
    await plant(project);
    const doomed = await doomedOf(project, keepNewest, before);
    const all = await idsOf(project);
    const createdBefore =
      before === null ? {} : { createdBefore: { seconds: BigInt(Date.parse(before) / 1000) } };
    const request = create(PruneVersionsRequestSchema, { keepNewest, ...createdBefore });
    const call = testCall({ project });
    const expected = {
      versions: BigInt(doomed.length),
      objects: BigInt(new Set(doomed.map(({ id }) => id.split(' ')[0])).size),
      bytes: doomed.reduce((sum, { size }) => sum + BigInt(size), 0n),
    };
    expect(doomed.length).toBeGreaterThan(10);
    expect(await countPrunable(storeOf(), call, request, bounds)).toMatchObject(expected);
    const told = { versions: 0n, bytes: 0n, idle: 0 };
    do {
      const { response } = await pruneVersions(storeOf(), call, request, bounds);
      told.versions += response.versions;
      told.bytes += response.bytes;
      told.idle += response.versions === 0n ? 1 : 0;
      request.resumeToken = response.resumeToken;
      expect(response.more).toBe(response.resumeToken !== '');
      expect(response.versions).toBeLessThanOrEqual(BigInt(bounds.versionsMax));
    } while (request.resumeToken !== '');
    expect(told).toMatchObject({ versions: expected.versions, bytes: expected.bytes });
    // Some calls came to the end of what they look at before they found anything.
    if (keepNewest === 25) expect(told.idle).toBeGreaterThan(1);
    const gone = new Set(doomed.map(({ id }) => id));
    expect(await idsOf(project)).toEqual(all.filter((id) => !gone.has(id)));
  });
});
