// What choosing and finding cost on 200,000 objects, in pages, by plans that know no parameters;
// and what a purge takes that another writer changes meanwhile.
import { beforeAll, describe, expect, it } from 'vitest';
import type { Transaction } from '../../src/postgres/router-api.js';
import type { Statement } from '../../src/postgres/statement.js';
import { duplicatesSlice } from '../../src/store/duplicates.sql.js';
import { prefixCeiling } from '../../src/store/object-keys.js';
import { criteriaParams, type PurgeCriteria } from '../../src/store/purge-criteria.js';
import { purgeMatching } from '../../src/store/purge-objects.js';
import { dueProjects, lockDoomed, selections } from '../../src/store/purge-objects.sql.js';
import type { TestConnection } from '../support/database.js';
import { explain } from '../support/explain.js';
import { fillTables } from '../support/filled-tables.js';
import { testCall } from '../support/router.js';
import { useRouter } from '../support/use-router.js';

const fixture = useRouter();

let service: TestConnection;

// Half of them deleted: 'a/' has live and deleted objects in turn, 'dead/' deleted ones only and
// 'live/' none but live ones. One in a thousand expires, half of these are due.
const objects = `
    insert into storage_objects (project_id, object_key, id, size, etag, storage_backend,
       deleted_at, purge_at)
     select case when n % 50 = 7 then 'other' else 'default' end,
       case when n % 4 in (0, 1) then 'a/' when n % 4 = 2 then 'dead/' else 'live/' end
         || lpad(n::text, 8, '0'),
       gen_random_uuid(), n, 'e' || n, case when n % 100 < 4 then 'rare' else 's3' end,
       case when n % 2 = 0 then now() - make_interval(mins => n) end,
       case when n % 1000 = 0 then now() + (n - 100000) * interval '1 minute' end
     from generate_series(1, 200000) n`;

beforeAll(async () => {
  const { admin } = fixture;
  await fillTables(admin, {
    tables: ['storage_objects'],
    async fill() {
      await admin.query(objects);
    },
  });
  service = await fixture.database.connect(fixture.database.serviceUrl);
}, 120_000);

const pagesOf = async (statement: Statement<unknown>, params: readonly unknown[]) => {
  const { nodes, buffers, plan } = await explain(service, statement, params);
  expect(nodes, plan).not.toContain('Seq Scan');
  return buffers;
};

const choose = (
  selection: keyof typeof selections,
  criteria: Partial<PurgeCriteria>,
): Promise<number> => {
  const all = { prefix: '', storageBackend: '', purgeDue: false, force: false, ...criteria };
  return pagesOf(selections[selection].choose, [...criteriaParams('default', all), 1001]);
};

/** A page of the heap a row, where each lies in another, and some of the index. */
const A_THOUSAND_ROWS = 1200;
const NOTHING = 20;

const minutesAgo = (minutes: number) => ({
  seconds: BigInt(Math.floor(Date.now() / 1000) - 60 * minutes),
  nanos: 0,
});

describe('choosing what to purge', () => {
  it('costs what it gives, among live rows and among none', async () => {
    expect(await choose('deleted', { prefix: 'a/' })).toBeLessThan(A_THOUSAND_ROWS);
    expect(await choose('deleted', { prefix: 'dead/' })).toBeLessThan(A_THOUSAND_ROWS);
    expect(await choose('deleted', {})).toBeLessThan(A_THOUSAND_ROWS);
  });

  it('costs nothing where there is nothing, however much stands beside it', async () => {
    expect(await choose('deleted', { prefix: 'live/' })).toBeLessThan(NOTHING);
    const longAgo = { deletedBefore: minutesAgo(300_000) };
    expect(await choose('longDeleted', longAgo)).toBeLessThan(NOTHING);
    expect(await choose('live', { prefix: 'dead/', force: true })).toBeLessThan(NOTHING);
    const unknown = { storageBackend: 'unknown', force: true };
    expect(await choose('liveOfBackend', unknown)).toBeLessThan(NOTHING);
  });

  it('begins with what was deleted first', async () => {
    const long = { deletedBefore: minutesAgo(190_000) };
    expect(await choose('longDeleted', long)).toBeLessThan(A_THOUSAND_ROWS);
    expect(await choose('longDeleted', { deletedBefore: minutesAgo(0) })).toBeLessThan(
      A_THOUSAND_ROWS,
    );
  });

  it('takes live objects in the order of their keys', async () => {
    expect(await choose('live', { prefix: 'a/', force: true })).toBeLessThan(A_THOUSAND_ROWS);
    const rare = { storageBackend: 'rare', force: true };
    expect(await choose('liveOfBackend', rare)).toBeLessThan(A_THOUSAND_ROWS);
  });

  it('looks at what is due alone', async () => {
    expect(await choose('due', { purgeDue: true, force: true })).toBeLessThan(150);
    expect(await pagesOf(dueProjects, ['', 100])).toBeLessThan(NOTHING);
  });

  it('locks by keys, whatever else is asked for', async () => {
    const keys = Array.from(
      { length: 1000 },
      (_, at) => `dead/${String(at * 4 + 2).padStart(8, '0')}`,
    );
    const params = ['default', 'dead/', prefixCeiling('dead/'), '', null, false, false, keys];
    // Some pages for each key: down the index, to the row and to its lock.
    expect(await pagesOf(lockDoomed, params)).toBeLessThan(8000);
  });
});

describe('a purge by force', () => {
  it('takes what is deleted between its two looks', async () => {
    const { admin, router } = fixture;
    const project = 'forced';
    await admin.query(
      `insert into storage_objects (project_id, object_key, id, size)
       values ($1, 'k/a', gen_random_uuid(), 1)`,
      [project],
    );
    const criteria = { prefix: 'k/', storageBackend: '', purgeDue: false, force: true };
    let looks = 0;
    const { value } = await router.transaction(testCall({ project }), (transaction) => {
      const watched: Transaction = {
        runLast: (statement, params) => transaction.runLast(statement, params),
        async run(statement, params) {
          const rows = await transaction.run(statement, params);
          looks += statement.name.startsWith('choose-') ? 1 : 0;
          if (looks === 1) {
            await admin.query(
              `update storage_objects set deleted_at = now(), revision = 2
               where project_id = $1 and deleted_at is null`,
              [project],
            );
          }
          return rows;
        },
      };
      return purgeMatching(watched, project, criteria, lockDoomed);
    });
    expect(looks).toBe(2);
    expect(value.response).toMatchObject({ objects: 1n, more: false });
    expect(value.changes).toMatchObject([{ objectKey: 'k/a', revision: 3n }]);
  });
});

describe('a slice of the duplicates', () => {
  const slice = (size: number) => ['default', size, '', 0, '', prefixCeiling(''), '', 20_000];

  it('looks at a bounded part of the index where nothing is a duplicate', async () => {
    for (const size of [1_000_000, 100_000, 50_000]) {
      expect(await pagesOf(duplicatesSlice, slice(size))).toBeLessThan(400);
    }
  });
});
