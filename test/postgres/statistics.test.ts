// Estimated figures against the truth, on a table that is over the bounds: its rows lie together by
// backend and project, and few objects hold most of the bytes.
import { beforeAll, describe, expect, it } from 'vitest';
import type { Figure } from '../../gen/stowage/v1/storage_report_pb.js';
import type { Statement } from '../../src/postgres/statement.js';
import { readStatistics, type StatisticsBounds } from '../../src/store/statistics.js';
import {
  auditEvents,
  backendObjects,
  countedObjects,
  countedVersions,
  hookExecutions,
  largestObjects,
  sampledObjects,
  sampledVersions,
} from '../../src/store/statistics.sql.js';
import type { Store } from '../../src/store/store.js';
import { explain } from '../support/explain.js';
import { fillTables } from '../support/filled-tables.js';
import { keeping } from '../support/keeping.js';
import { testCall } from '../support/router.js';
import { useRouter } from '../support/use-router.js';

const fixture = useRouter();

/** A tenth of the rows and a third of the pages that there are. */
const bounds: StatisticsBounds = { rowsMax: 10_000, pagesMax: 1000 };

const tables = {
  storage_objects: `
    insert into storage_objects (project_id, object_key, id, size, etag, storage_backend,
      deleted_at)
    select case when n % 10 < 3 or n between 45001 and 50000 then 'other' else 'default' end,
      lpad(n::text, 8, '0'), gen_random_uuid(),
      (1000 * exp(2.5 * sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random())))::int8, 'e' || n,
      case when n > 75000 then 'moved' when n % 3 = 0 then 'local' else 's3' end,
      case when n % 20 = 19 then now() end
    from generate_series(1, 100000) n`,
  storage_versions: `
    insert into storage_versions (project_id, object_key, version_id, size, last_modified)
    select project_id, object_key, v::text, size, now()
    from storage_objects, generate_series(1, 2) v`,
  storage_audit: `
    insert into storage_audit (project_id, id, action, timestamp)
    select case when n % 4 = 0 then 'other' else 'default' end, gen_random_uuid(), 'X',
      now() - make_interval(secs => case when n % 2 = 0 then n * 1.25
                                         else 3600 + 600 * n / 80000.0 end)
    from generate_series(1, 80000) n`,
  storage_hooks: `
    insert into storage_hooks (project_id, id, hook_name, event_type, success, timestamp)
    select 'default', gen_random_uuid(), 'h', 'e', true,
      date_trunc('minute', now()) - make_interval(mins => n % 1600)
    from generate_series(1, 30000) n`,
} as const;

beforeAll(async () => {
  await fixture.admin.query('select setseed(0.5)');
  // The months that the last day may lie in: partitions are made from the present one on.
  await fixture.admin.query(
    `select stowage_make_partition(parent, parent || '_before', date_trunc('month', now(), 'UTC')
       - interval '1 month', date_trunc('month', now(), 'UTC'))
     from (values ('storage_audit'), ('storage_hooks')) as parents (parent)`,
  );
  await fillTables(fixture.admin, {
    tables: Object.keys(tables),
    async fill() {
      for (const text of Object.values(tables)) await fixture.admin.query(text);
    },
  });
}, 120_000);

const storeOf = (): Store => ({
  router: fixture.router,
  sealer: fixture.router.sealer,
  heartbeatMs: 1000,
  keeping,
});

const read = (options: { project?: string; bounds?: StatisticsBounds } = {}) => {
  const { project = 'default' } = options;
  const call = testCall({ project, freshness: { kind: 'strong' }, timeoutMs: 60_000 });
  return readStatistics(storeOf(), call, options.bounds ?? bounds);
};

const truths = `
  select (select count(*) from storage_objects where project_id = 'default' and deleted_at is null)
      as objects,
    (select sum(size)::int8 from storage_objects
     where project_id = 'default' and deleted_at is null) as bytes,
    (select count(*) from storage_versions where project_id = 'default') as versions,
    (select count(*) from storage_audit where project_id = 'default'
       and timestamp > now() - interval '1 day' and timestamp <= now()) as audit,
    (select count(*) from storage_hooks where project_id = 'default'
       and timestamp > now() - interval '1 day' and timestamp <= now()) as hooks`;

/** Estimated, and within 5 % of the truth. */
function expectNear(figure: Figure | undefined, truth: unknown, name: string): void {
  expect(figure?.exact, name).toBe(false);
  const off = Number(figure?.value) / Number(truth) - 1;
  expect(Math.abs(off), `${name}: ${figure?.value} for ${truth}`).toBeLessThan(0.05);
}

describe('estimated statistics', () => {
  it('are within 5 % of the truth after ANALYZE, each of them', async () => {
    const [truth] = await fixture.admin.query(truths);
    const found = await read();
    expectNear(found.objects, truth?.['objects'], 'objects');
    expectNear(found.bytes, truth?.['bytes'], 'bytes');
    expectNear(found.versions, truth?.['versions'], 'versions');
    expectNear(found.auditEvents24h, truth?.['audit'], 'audit events');
    expectNear(found.hookExecutions24h, truth?.['hooks'], 'hook executions');
  });

  it('are so for every backend', async () => {
    const rows = await fixture.admin.query(
      `select storage_backend, count(*) as objects, sum(size)::int8 as bytes
       from storage_objects where project_id = 'default' and deleted_at is null
       group by storage_backend order by storage_backend`,
    );
    const { backends } = await read();
    expect(backends.map((each) => each.storageBackend)).toEqual(['local', 'moved', 's3']);
    for (const [at, row] of rows.entries()) {
      const backend = String(row['storage_backend']);
      expectNear(backends[at]?.objects, row['objects'], `objects of ${backend}`);
      expectNear(backends[at]?.bytes, row['bytes'], `bytes of ${backend}`);
    }
  });

  it('are not misled by where the sampled pages happen to lie', async () => {
    const [truth] = await fixture.admin.query(
      `select count(*) as objects from storage_objects
       where project_id = 'default' and deleted_at is null and storage_backend = 'moved'`,
    );
    for (const pagesMax of [400, 550, 700, 850]) {
      const { backends } = await read({ bounds: { rowsMax: 10_000, pagesMax } });
      expectNear(backends[1]?.objects, truth?.['objects'], `moved objects by ${pagesMax} pages`);
    }
  });

  it('are counted where the bounds allow it', async () => {
    const [truth] = await fixture.admin.query(truths);
    const found = await read({ bounds: { rowsMax: 400_000, pagesMax: 1 } });
    const facts = [found.objects, found.bytes, found.versions];
    expect(facts.map((figure) => [figure?.exact, String(figure?.value)])).toEqual([
      [true, truth?.['objects']],
      [true, truth?.['bytes']],
      [true, truth?.['versions']],
    ]);
    expect(found.auditEvents24h?.exact).toBe(true);
    expect(found.hookExecutions24h?.exact).toBe(true);
  });

  it('are counted up to the bound itself, and estimated one beyond', async () => {
    const [row] = await fixture.admin.query<{ objects: string }>(truths);
    const objects = Number(row?.objects);
    const at = await read({ bounds: { rowsMax: objects, pagesMax: 1000 } });
    expect([at.objects?.exact, Number(at.objects?.value)]).toEqual([true, objects]);
    const below = await read({ bounds: { rowsMax: objects - 1, pagesMax: 1000 } });
    expectNear(below.objects, objects, 'objects');
  });

  it('read a bounded part of the tables, by plans that know no parameters', async () => {
    const service = await fixture.database.connect(fixture.database.serviceUrl);
    const plans: readonly (readonly [Statement<unknown>, readonly unknown[], number])[] = [
      [countedObjects, ['default', 10_000], 400],
      [backendObjects, ['default', 10_000], 400],
      [largestObjects, ['default', 1000], 50],
      [sampledObjects, ['default', 1000, 10, 3500], 500],
      [countedVersions, ['default', 10_000], 400],
      [sampledVersions, ['default', 10, 3500], 500],
      [auditEvents.newest, ['default', 10_000], 400],
      [hookExecutions.newest, ['default', 10_000], 400],
    ];
    for (const [statement, params, buffersMax] of plans) {
      const { nodes, buffers, plan } = await explain(service, statement, params);
      expect(buffers, `${statement.name}\n${plan}`).toBeLessThanOrEqual(buffersMax);
      expect(nodes, statement.name).not.toContain('Seq Scan');
    }
  });

  it('see a seventh of the past of a day', async () => {
    const service = await fixture.database.connect(fixture.database.serviceUrl);
    const now = new Date().toISOString();
    const { nodes, rowsOfStep, plan } = await explain(service, auditEvents.older, ['default', now]);
    expect(nodes, plan).not.toContain('Seq Scan');
    // Seconds that are looked at, or events that are found in them; no step has more.
    expect(rowsOfStep, plan).toBeLessThan(16_000);
  });
});
