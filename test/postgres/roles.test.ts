import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createServiceLogin } from '../../src/postgres/service-login.js';
import { sharedCluster } from '../support/cluster.js';
import {
  asLogin,
  createTestDatabase,
  type TestConnection,
  type TestDatabase,
} from '../support/database.js';

const DENIED = { code: '42501' };

let database: TestDatabase;
let owner: TestConnection;
let service: TestConnection;
let partition: string;

beforeAll(async () => {
  database = await createTestDatabase(sharedCluster().nodes[0]?.url ?? '');
  owner = await database.connect();
  service = await database.connect(database.serviceUrl);
  const [row] = await owner.query<{ name: string }>(
    `select inhrelid::regclass::text as name from pg_inherits
     where inhparent = 'storage_audit'::regclass order by 1 limit 1`,
  );
  partition = row?.name ?? '';
});

afterAll(() => database.drop());

async function tables(): Promise<string[]> {
  const rows = await owner.query<{ name: string }>(
    `select relname as name from pg_class
     where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relispartition
     order by name`,
  );
  return rows.map((row) => row.name);
}

describe('the service role', () => {
  it('owns nothing and may make nothing', async () => {
    const [owned] = await service.query<{ count: string }>(
      `select count(*) from pg_class where pg_has_role(relowner, 'member')`,
    );
    expect(owned).toEqual({ count: '0' });
    await expect(service.query('create table mine ()')).rejects.toMatchObject(DENIED);
    await expect(service.query('create schema mine')).rejects.toMatchObject(DENIED);
  });

  it('is no superuser and passes no role on', async () => {
    const rows = await service.query(
      `select rolname from pg_roles
       where pg_has_role(oid, 'member')
         and (rolsuper or rolcreaterole or rolcreatedb or rolreplication or rolbypassrls)`,
    );
    expect(rows).toEqual([]);
  });

  it.each([
    'storage_versions',
    'storage_audit',
    'storage_hooks',
    'storage_changes',
    'storage_ticks',
  ])('may append to %s and read it, but not change it', async (table) => {
    const key = table === 'storage_ticks' ? 'timeline' : 'project_id';
    await service.query(`select ${key} from ${table}`);
    for (const text of [
      `update ${table} set ${key} = ${key}`,
      `delete from ${table}`,
      `truncate ${table}`,
      `alter table ${table} disable trigger all`,
    ]) {
      await expect(service.query(text), text).rejects.toMatchObject(DENIED);
    }
  });

  it('reaches no partition directly', async () => {
    for (const text of [
      `select from ${partition}`,
      `insert into ${partition} (project_id, id, action)
       values ('default', gen_random_uuid(), 'X')`,
      `delete from ${partition}`,
      `truncate ${partition}`,
      `drop table ${partition}`,
    ]) {
      await expect(service.query(text), text).rejects.toMatchObject(DENIED);
    }
  });

  it('cannot change what is constant', async () => {
    for (const text of [
      `update projects set language = 'de'`,
      `update storage_objects set id = gen_random_uuid()`,
      `update storage_objects set created_at = now()`,
      `update request_log set request_sha256 = sha256('')`,
      `delete from projects`,
      `delete from timelines`,
      `update timelines set switch_lsn = '0/0'`,
      `update timelines set recorded_lsn = '0/0'`,
      `delete from timeline_acceptances`,
      `update timeline_acceptances set generation = 9`,
      `insert into token_keys (key_id, secret) values (2, sha256(''))`,
      `select stowage_make_partition('storage_audit', 'other', now(), now() + '1 day')`,
    ]) {
      await expect(service.query(text), text).rejects.toMatchObject(DENIED);
    }
  });

  it('purges by a function, at most a thousand objects at once', async () => {
    const purge = 'select * from stowage_purge_objects($1, $2::text[])';
    const keys = (count: number) => Array.from({ length: count }, (_, at) => `doomed-${at}`);
    await service.query(
      `insert into storage_objects (project_id, object_key, id, size)
       select 'default', key, gen_random_uuid(), 1 from unnest($1::text[]) as key`,
      [keys(1000)],
    );
    await service.query(
      `insert into storage_versions (project_id, object_key, version_id, size, last_modified)
       values ('default', 'doomed-7', 'a', 1, now()), ('default', 'doomed-7', 'b', 1, now()),
              ('default', 'kept', 'a', 1, now())`,
    );
    await expect(service.query('delete from storage_objects')).rejects.toMatchObject(DENIED);
    const tooMany = service.query(purge, ['default', keys(1001)]);
    await expect(tooMany).rejects.toMatchObject({ code: '54000' });
    expect(await service.query(purge, ['other', keys(1000)])).toEqual([]);
    const purged = await service.query(purge, ['default', [...keys(1000).slice(1), 'kept']]);
    expect(purged).toHaveLength(999);
    expect(purged[6]).toEqual({ purged_key: 'doomed-7', purged_versions: '2' });
    const left = await service.query('select object_key from storage_versions');
    expect(left).toEqual([{ object_key: 'kept' }]);
    const objects = await service.query('select object_key from storage_objects');
    expect(objects).toEqual([{ object_key: 'doomed-0' }]);
  });

  it('may record timelines, note how far they came, and give one up', async () => {
    await service.query(`insert into timelines (timeline, switch_lsn) values (900, '0/1')`);
    await service.query(`update timelines set reached_lsn = '0/2' where timeline = 900`);
    await service.query(
      `insert into timeline_acceptances (generation, timeline, abandoned_timeline, accepted_by)
       values (1, 900, 901, 'somebody')`,
    );
    await owner.query('delete from timelines where timeline = 900');
    await owner.query('delete from timeline_acceptances');
  });

  it('may do what recording does', async () => {
    await service.query('begin');
    await service.query(`insert into request_log (project_id, principal, request_id, method,
                           request_sha256)
                         values ('default', 'p', gen_random_uuid(), 'm', sha256(''))`);
    await service.query(`insert into storage_objects (project_id, object_key, id, size)
                         values ('default', 'k', gen_random_uuid(), 1)
                         on conflict (project_id, object_key) do update set size = excluded.size`);
    await service.query(`select from storage_objects where object_key = 'k' for update`);
    await service.query(`insert into storage_versions (project_id, object_key, version_id, size,
                           last_modified)
                         values ('default', 'k', 'v', 1, now())`);
    await service.query(`insert into storage_search (project_id, object_key, storage_backend,
                           search_vector, indexed_revision)
                         values ('default', 'k', 's3',
                                 stowage_search_vector('k', 'text/plain', '{"a": "ü"}'), 1)`);
    await service.query(`update storage_search set indexed_revision = 2`);
    await service.query(`delete from storage_search`);
    await service.query(`insert into storage_changes (project_id, kind, object_key, revision)
                         values ('default', 'object.created', 'k', 1)`);
    await service.query(`insert into storage_audit (project_id, id, action)
                         values ('default', gen_random_uuid(), 'RECORD_OBJECT')`);
    await service.query(`insert into storage_ticks (timeline, snapshot)
                         values (1, pg_current_snapshot())`);
    await service.query(`update request_log set response = ''`);
    await service.query('commit');
    const [keys] = await service.query('select length(secret) from token_keys');
    expect(keys).toEqual({ length: 32 });
  });
});

describe('the other roles', () => {
  it('read everything but secrets as stowage_readonly, and write nothing', async () => {
    const reader = await database.connect();
    await reader.query('set role stowage_readonly');
    const secret: string[] = [];
    for (const table of await tables()) {
      const refused = await reader.query(`select from ${table}`).catch((error: unknown) => error);
      if (!Array.isArray(refused)) {
        expect(refused).toMatchObject(DENIED);
        secret.push(table);
      }
      await expect(reader.query(`delete from ${table}`), table).rejects.toMatchObject(DENIED);
    }
    expect(secret.sort()).toEqual(['hook_secrets', 'token_keys']);
  });

  it('leave nothing to everybody', async () => {
    const [open] = await owner.query<{ count: string }>(
      `select count(*)
       from (
         select relacl as acl from pg_class where relnamespace = 'public'::regnamespace
         union all
         select coalesce(proacl, acldefault('f', proowner)) from pg_proc
         where pronamespace = 'public'::regnamespace
           and not exists (select from pg_depend
                           where classid = 'pg_proc'::regclass and objid = pg_proc.oid
                             and deptype = 'e')
       ) as objects, aclexplode(acl) as entry
       where entry.grantee = 0`,
    );
    expect(open).toEqual({ count: '0' });
  });
});

describe('the service login', () => {
  it('is made once and has its password changed afterwards', async () => {
    const login = { user: `${database.name}_twice'"`, password: "first 'secret'" };
    const again = { user: login.user, password: 'second' };
    try {
      await Promise.all([1, 2, 3].map(() => createServiceLogin(database.url, login)));
      const first = await database.connect(asLogin(database.url, login));
      expect(await first.query('select current_user as me')).toEqual([{ me: login.user }]);
      await createServiceLogin(database.url, again);
      const second = await database.connect(asLogin(database.url, again));
      await second.query('select from storage_objects');
      const refused = database.connect(asLogin(database.url, login));
      await expect(refused).rejects.toMatchObject({ code: '28P01' });
    } finally {
      await owner.query(`drop role "${login.user.replaceAll('"', '""')}"`);
    }
  });

  it('refuses a password that clients would prepare differently', async () => {
    const made = createServiceLogin(database.url, { user: 'nobody', password: 'größe' });
    await expect(made).rejects.toMatchObject({ reason: 'INVALID_REQUEST' });
  });
});
