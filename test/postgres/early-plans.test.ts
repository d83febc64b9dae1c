// Plans that a connection made while the tables were empty and keeps: nothing analyses a table in
// the first minute of its growth, and every write of that time goes by them.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Statement } from '../../src/postgres/statement.js';
import {
  carryObject,
  carryObjects,
  deleteObject,
  deleteObjects,
  lockKeys,
  undeleteObject,
} from '../../src/store/object-changes.sql.js';
import { prefixCeiling } from '../../src/store/object-keys.js';
import { lockObjects } from '../../src/store/objects.sql.js';
import { confirmOldVersions } from '../../src/store/prune-versions.sql.js';
import { lockDoomed } from '../../src/store/purge-objects.sql.js';
import { indexKeys } from '../../src/store/search-index.sql.js';
import { makeLatest, newestOther } from '../../src/store/version-changes.sql.js';
import { getVersions, listVersions } from '../../src/store/version-reads.sql.js';
import { sharedCluster } from '../support/cluster.js';
import { createTestDatabase, type TestConnection, type TestDatabase } from '../support/database.js';
import { executionOf, explainRun } from '../support/explain.js';

const OBJECTS = 20_000;

let database: TestDatabase;
let service: TestConnection;
let serverVersion: number;

const time = new Date().toISOString();
const keyOf = (n: number) => `k/${String(n).padStart(5, '0')}`;

/** What each statement is asked for some objects. */
const asked: readonly (readonly [Statement<unknown>, (keys: string[]) => readonly unknown[]])[] = [
  [lockKeys, (keys) => ['default', keys]],
  [
    lockObjects,
    (keys) => {
      const values = ['1', 'text/plain', 'e', time, '', 's3', '', '{}', '', null];
      return ['default', keys, ...values.map((value) => keys.map(() => value))];
    },
  ],
  [deleteObject, (keys) => ['default', keys, keys.map(() => randomUUID()), time, 'me']],
  [deleteObjects, (keys) => ['default', keys, keys.map(() => randomUUID()), time, 'me']],
  [carryObject, (keys) => moved(keys)],
  [carryObjects, (keys) => moved(keys)],
  [undeleteObject, ([key]) => ['default', key]],
  [getVersions, ([key]) => ['default', key, ['v', '']]],
  [listVersions, ([key]) => ['default', key, 2n ** 63n - 1n, 101]],
  [newestOther, ([key]) => ['default', key, 'w']],
  [makeLatest, ([key]) => ['default', key, 'v']],
  [confirmOldVersions, (keys) => ['default', keys, keys.map(() => 'v'), 1, null]],
  [lockDoomed, (keys) => ['default', 'k/', prefixCeiling('k/'), '', null, false, true, keys]],
  [indexKeys, (keys) => ['default', keys]],
];

function moved(keys: string[]): readonly unknown[] {
  const [ids, versions] = [keys.map(() => randomUUID()), keys.map(() => randomUUID())];
  return ['default', keys, keys.map((key) => `to/${key}`), ids, versions, time, 'me'];
}

beforeAll(async () => {
  database = await createTestDatabase(sharedCluster().nodes[0]?.url ?? '');
  const admin = await database.connect();
  for (const table of ['storage_objects', 'storage_versions', 'storage_search']) {
    await admin.query(`alter table ${table} set (autovacuum_enabled = false)`);
  }
  service = await database.connect(database.serviceUrl);
  const [server] = await service.query<{ version: string }>(
    `select current_setting('server_version_num') as version`,
  );
  serverVersion = Number(server?.version);
  await service.query('set plan_cache_mode = force_generic_plan');
  for (const [{ name, text }, paramsOf] of asked) {
    await service.query(`prepare "${name}" as ${text}`);
    const nulls = paramsOf([]).map(() => null);
    await service.query(`explain ${executionOf(`"${name}"`, nulls)}`);
  }
  await admin.query(
    `with made as (
       insert into storage_objects (project_id, object_key, id, size, version_id, storage_backend)
       select 'default', 'k/' || lpad(n::text, 5, '0'), gen_random_uuid(), 1, 'v', 's3'
       from generate_series(1, $1) n
       returning *
     ), versioned as (
       insert into storage_versions (project_id, object_key, version_id, size, last_modified)
       select project_id, object_key, version_id, size, last_modified from made
     )
     insert into storage_search
       (project_id, object_key, storage_backend, search_vector, indexed_revision)
     select project_id, object_key, storage_backend, '', revision from made`,
    [OBJECTS],
  );
});

afterAll(() => database.drop());

async function run({ name }: Statement<unknown>, params: readonly unknown[]) {
  await service.query('begin');
  const explained = await explainRun(service, executionOf(`"${name}"`, params));
  await service.query('rollback');
  return explained;
}

it.each(asked)('$name reads one object of many for one', async (statement, paramsOf) => {
  const { buffers, plan } = await run(statement, paramsOf([keyOf(7_777)]));
  // Before 17 an index that is asked for several keys gives them in no order, so that an early plan
  // which locks in order passes the project's part of the index, though none of its objects; and 17
  // may still do so where it joins.
  expect(buffers, plan).toBeLessThan(serverVersion >= 180_000 ? 200 : 600);
});

it.each(asked)('$name tries no key of a batch with each other', async (statement, paramsOf) => {
  const keys = Array.from({ length: 500 }, (_, at) => keyOf(1 + 10 * at));
  const { rowsOfStep, plan } = await run(statement, paramsOf(keys));
  expect(rowsOfStep, plan).toBeLessThanOrEqual(2 * keys.length);
});
