import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { sharedCluster } from '../support/cluster.js';
import {
  asLogin,
  createTestDatabase,
  type TestConnection,
  type TestDatabase,
} from '../support/database.js';

const inserts: Readonly<Record<string, string>> = {
  storage_versions: `insert into storage_versions (project_id, object_key, version_id, size,
    last_modified) values ('default', 'k', gen_random_uuid()::text, 1, now())`,
  storage_audit: `insert into storage_audit (project_id, id, action)
    values ('default', gen_random_uuid(), 'DOWNLOAD')`,
  storage_hooks: `insert into storage_hooks (project_id, id, hook_name, event_type, success)
    values ('default', gen_random_uuid(), 'h', 'e', true)`,
  storage_changes: `insert into storage_changes (project_id, kind, revision)
    values ('default', 'object.created', 1)`,
  storage_ticks: 'insert into storage_ticks (timeline, snapshot) values (1, pg_current_snapshot())',
};

let database: TestDatabase;
let owner: TestConnection;

beforeAll(async () => {
  database = await createTestDatabase(sharedCluster().nodes[0]?.url ?? '');
  owner = await database.connect();
});

afterAll(() => database.drop());

async function partitionsOf(table: string): Promise<string[]> {
  const rows = await owner.query<{ name: string }>(
    `select inhrelid::regclass::text as name from pg_inherits
     where inhparent = to_regclass($1)`,
    [table],
  );
  return rows.map((row) => row.name);
}

describe.each(Object.keys(inserts))('%s', (table) => {
  const column = table === 'storage_ticks' ? 'timeline' : 'project_id';

  beforeEach(async () => {
    await owner.query(inserts[table] ?? '');
  });

  it('refuses its owner, through each partition too', async () => {
    for (const name of [table, ...(await partitionsOf(table))]) {
      const refusal = { code: '42501', message: expect.stringContaining('is append-only') };
      const [filled] = await owner.query<{ rows: boolean }>(
        `select exists (select from ${name}) as rows`,
      );
      // Without the others that refer to it a table is not even asked.
      await expect(owner.query(`truncate ${name} cascade`), name).rejects.toMatchObject(refusal);
      if (filled?.rows !== true) continue;
      const update = owner.query(`update ${name} set ${column} = ${column}`);
      await expect(update, name).rejects.toMatchObject(refusal);
      await expect(owner.query(`delete from ${name}`), name).rejects.toMatchObject(refusal);
    }
  });

  it('lets retention delete, and nothing else', async () => {
    await owner.query('set role stowage_retention');
    const update = owner.query(`update ${table} set ${column} = ${column}`);
    await expect(update).rejects.toMatchObject({ code: '42501' });
    await expect(owner.query(`truncate ${table}`)).rejects.toMatchObject({ code: '42501' });
    await owner.query(`delete from ${table}`);
    await owner.query('reset role');
    expect(await owner.query(`select from ${table}`)).toEqual([]);
  });
});

describe('whoever logs in', () => {
  const kept = ['storage_audit', 'storage_hooks', 'storage_versions', 'audit_seals'] as const;
  const reader = { user: `reader_${randomUUID().slice(0, 8)}`, password: 'reader' };

  beforeAll(async () => {
    for (const table of kept) await owner.query(inserts[table] ?? 'select');
    await owner.query(
      `insert into audit_seals (range_start, seal_number, partition, rows, sha256)
       values ('2020-01-01Z', 1, 'storage_audit_2020_01', 0, sha256(''))`,
    );
    await owner.query(
      `create role ${reader.user} login password '${reader.password}' in role stowage_readonly`,
    );
  });

  afterAll(() => owner.query(`drop role ${reader.user}`));

  it.each([
    ['as the service', () => database.serviceUrl ?? ''],
    ['as a reader', () => asLogin(database.url, reader)],
    ['as the owner of the schema', () => database.url],
  ])('changes, removes and empties nothing %s', async (_, url) => {
    const login = await database.connect(url());
    for (const table of kept) {
      const [row] = await owner.query<{ column: string; rows: number; place: string }>(
        `select (select attname from pg_attribute
                 where attrelid = $1::regclass and attnum = 1) as column,
                (select count(*)::int from ${table}) as rows,
                (select tableoid::regclass::text from ${table} limit 1) as place`,
        [table],
      );
      expect(row?.rows, table).toBeGreaterThan(0);
      for (const name of new Set([table, row?.place])) {
        for (const text of [
          `update ${name} set ${row?.column} = ${row?.column}`,
          `delete from ${name}`,
          `truncate ${name} cascade`,
        ]) {
          await expect(login.query(text), text).rejects.toMatchObject({ code: '42501' });
        }
      }
      const [left] = await owner.query<{ rows: number }>(
        `select count(*)::int as rows from ${table}`,
      );
      expect(left?.rows, table).toBe(row?.rows);
    }
  });
});
