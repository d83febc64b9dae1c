import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sharedCluster } from '../support/cluster.js';
import { createTestDatabase, type TestConnection, type TestDatabase } from '../support/database.js';

let database: TestDatabase;
let owner: TestConnection;
let service: TestConnection;

beforeAll(async () => {
  database = await createTestDatabase(sharedCluster().nodes[0]?.url ?? '');
  owner = await database.connect();
  service = await database.connect(database.serviceUrl);
});

afterAll(() => database.drop());

interface Partition {
  readonly parent: string;
  readonly name: string;
  readonly bounds: string;
}

async function partitions(): Promise<Partition[]> {
  await owner.query(`set timezone = 'UTC'`);
  return owner.query<{ parent: string; name: string; bounds: string }>(
    `select inhparent::regclass::text as parent, inhrelid::regclass::text as name,
            pg_get_expr(relpartbound, inhrelid) as bounds
     from pg_inherits join pg_class on pg_class.oid = inhrelid
     where relkind = 'r'
     order by parent, bounds`,
  );
}

async function ensure(connection: TestConnection): Promise<number | undefined> {
  const [row] = await connection.query<{ made: number }>(
    'select stowage_ensure_partitions() as made',
  );
  return row?.made;
}

async function drop(name: string): Promise<void> {
  await owner.query(`drop table ${name}`);
}

describe('partitions', () => {
  it('are there for two months and seven days ahead once the schema is', async () => {
    const parents = (await partitions()).map((partition) => partition.parent);
    expect(parents.filter((parent) => parent === 'storage_audit')).toHaveLength(3);
    expect(parents.filter((parent) => parent === 'storage_hooks')).toHaveLength(3);
    expect(parents.filter((parent) => parent === 'storage_changes')).toHaveLength(8);
    expect(await ensure(service)).toBe(0);
  });

  it('are made again where they lack, with the same bounds in any time zone', async () => {
    const before = await partitions();
    for (const { name } of before) await drop(name);
    await service.query(`set timezone = 'Pacific/Auckland'`);
    expect(await ensure(service)).toBe(before.length);
    expect(await partitions()).toEqual(before);
  });

  it('are made once by eight callers at once', async () => {
    const before = await partitions();
    for (const { name } of before) await drop(name);
    const callers = await Promise.all(
      Array.from({ length: 8 }, () => database.connect(database.serviceUrl)),
    );
    const made = await Promise.all(callers.map(ensure));
    expect(made.reduce((sum: number, one) => sum + (one ?? 0), 0)).toBe(before.length);
    expect(await partitions()).toEqual(before);
  });

  it('are made while others read and write the table', async () => {
    const [last] = (await partitions())
      .filter(({ parent }) => parent === 'storage_audit')
      .slice(-1);
    await drop(last?.name ?? '');
    const writer = await database.connect(database.serviceUrl);
    await writer.query('begin');
    await writer.query(`insert into storage_audit (project_id, id, action)
                        values ('default', gen_random_uuid(), 'UPLOAD')`);
    await service.query(`set lock_timeout = '2s'`);
    expect(await ensure(service)).toBe(1);
    await writer.query('commit');
  });

  it('carry the indexes and constraints of their tables', async () => {
    const rows = await owner.query(
      `select c.relname from pg_index i join pg_class c on c.oid = i.indexrelid
       where i.indrelid in (select inhrelid from pg_inherits) and not c.relispartition`,
    );
    expect(rows).toEqual([]);
    const [audit] = await owner.query<{ indexes: string }>(
      `select count(*) as indexes from pg_index where indrelid = 'storage_audit'::regclass`,
    );
    expect(audit).toEqual({ indexes: '5' });
  });

  it('take in what belongs to them, and refuse what has no place', async () => {
    const insert = `insert into storage_audit (project_id, id, action, timestamp)
                    values ('default', gen_random_uuid(), 'UPLOAD', $1)`;
    await service.query(insert, [new Date()]);
    const refused = service.query(insert, [new Date(0)]);
    await expect(refused).rejects.toMatchObject({ code: '23514' });
  });
});
