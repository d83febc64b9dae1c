// What operators ask of the database, through both doors: each figure beside what the test has made
// or asks PostgreSQL itself; and that it answers while every other connection is taken.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../../src/lib/wait.js';
import { type SharedNode, sharedCluster } from '../support/cluster.js';
import { atDatabase, openConnection, type TestConnection } from '../support/database.js';
import { doorNames, failure, startService, strong, type TestService } from '../support/service.js';

const WAIT_MS = 20_000;
/** Nobody listens there. */
const SILENT = '127.0.0.1:1';
const nameOf = ({ host, port }: SharedNode) => `${host}:${port}`;
const names = sharedCluster().nodes.map(nameOf);
const [primary = '', standby = ''] = names;

let service: TestService;
let login: string;
const admin = () => service.doors.gRPC.admin;

beforeAll(async () => {
  service = await startService({ POSTGRES_HOST: [...names, SILENT].join(',') });
  login = new URL(service.database.serviceUrl ?? '').username;
});

afterAll(async () => {
  await service?.[Symbol.asyncDispose]();
});

const grant = () => service.sql(`grant pg_read_all_stats to ${login}`);
const revoke = () => service.sql(`revoke pg_read_all_stats from ${login}`);

/** A number that PostgreSQL tells. */
async function ask(expression: string): Promise<bigint> {
  const [row] = await service.sql<{ value: string }>(`select (${expression})::text as value`);
  return BigInt(row?.value ?? '');
}

async function connectTo(node: number): Promise<TestConnection> {
  const { url } = sharedCluster().nodes[node] ?? { url: '' };
  return openConnection(atDatabase(url, service.database.name));
}

const allTables = async (partitions = false) =>
  (await admin().getTableStatistics({ limit: 1000, partitions })).tables;
const tableOf = async (table: string) => (await allTables()).find((each) => each.table === table);
const allIndexes = async (unused = false) =>
  (await admin().getIndexStatistics({ limit: 1000, unused })).indexes;
const indexOf = async (index: string) => (await allIndexes()).find((each) => each.index === index);

describe.each(doorNames)('reports through %s', (door) => {
  it('tell the size of the database, and how the node was used', async () => {
    const { admin: asked } = service.doors[door];
    const found = await asked.getDatabaseStatistics({});
    expect(found).toMatchObject({
      node: primary,
      database: service.database.name,
      sessionsMax: 200,
      rolledBack: expect.any(BigInt),
    });
    const size = Number(await ask('pg_database_size(current_database())'));
    expect(Math.abs(Number(found.sizeBytes) / size - 1)).toBeLessThan(0.2);
    for (const ratio of [found.heapHitRatio, found.indexHitRatio]) {
      expect(ratio).toBeGreaterThan(0);
      expect(ratio).toBeLessThanOrEqual(1);
    }
    expect(found.committed).toBeGreaterThan(0n);
    // This connection of the superuser, whose state only the granted may see.
    expect(Object.keys(found.sessions)).toContain('unknown');
    expect(found.sessions['active']).toBeGreaterThanOrEqual(1);
  });

  it('ask the node that is named, and no other', async () => {
    const { admin: asked } = service.doors[door];
    expect(await asked.getDatabaseStatistics({ node: standby })).toMatchObject({ node: standby });
    const unknown = { node: 'nowhere:5432' };
    const calls = [
      asked.getDatabaseStatistics(unknown),
      asked.getTableStatistics(unknown),
      asked.getIndexStatistics(unknown),
      asked.getActivity(unknown),
      asked.getStatementStatistics(unknown),
      asked.getRiskySettings(unknown),
    ];
    const refused = await Promise.all(calls.map(failure));
    expect(refused.map(({ reason }) => reason)).toEqual(calls.map(() => 'NODE_NOT_FOUND'));
    const silent = await failure(asked.getActivity({ node: SILENT }));
    expect(silent).toMatchObject({ reason: 'NO_NODE' });
  });

  it('tell the worst setting of every node first, and who did not answer', async () => {
    const { settings, silentNodes } = await service.doors[door].admin.getRiskySettings({});
    expect(silentNodes).toEqual([SILENT]);
    expect(settings.slice(0, 3)).toMatchObject(
      names.map((node) => ({ node, setting: 'fsync', value: 'off', needsRestart: false })),
    );
    expect(settings[0]?.risk).toContain('destroyed');
    // What the service gives its own sessions is not what others have.
    const timeouts = settings.filter((each) => each.setting.startsWith('idle_in_transaction'));
    expect(timeouts.map(({ node }) => node)).toEqual(names);
    expect(settings.map(({ setting }) => setting)).not.toContain('hot_standby_feedback');
    const ofOne = await service.doors[door].admin.getRiskySettings({ node: standby });
    expect(new Set(ofOne.settings.map(({ node }) => node))).toEqual(new Set([standby]));
  });
});

describe('tables', () => {
  it('are told with what they take, the partitions of one as one', async () => {
    const tables = await allTables();
    const changes = tables.find(({ table }) => table === 'storage_changes');
    expect(changes?.partitions).toBe(8);
    expect(changes?.totalBytes).toBe(
      await ask(
        `select sum(pg_total_relation_size(relid)) from pg_partition_tree('storage_changes')`,
      ),
    );
    const sizes = tables.map(({ totalBytes }) => totalBytes);
    expect(sizes).toEqual([...sizes].sort((left, right) => Number(right - left)));

    const partitions = await allTables(true);
    const ofChanges = partitions.filter(({ table }) => table.startsWith('storage_changes_'));
    expect(ofChanges).toHaveLength(8);
    expect(ofChanges.every((each) => each.partitions === 0)).toBe(true);

    const cut = await admin().getTableStatistics({ limit: 2 });
    expect(cut.total).toBe(tables.length);
    expect(cut.tables.map(({ table }) => table)).toEqual(
      tables.slice(0, 2).map(({ table }) => table),
    );
  });

  it('of other schemas have their schema, and those of a session alone are left out', async () => {
    await service.sql('create schema reports_elsewhere');
    await service.sql('create table reports_elsewhere.things (a int)');
    await service.sql('create temporary table reports_passing (a int)');
    const tables = (await allTables()).map(({ table }) => table);
    expect(tables).toContain('reports_elsewhere.things');
    expect(tables.filter((table) => table.includes('passing'))).toEqual([]);
  });

  it('are told with their bloat, near what VACUUM FULL and REINDEX give back', async () => {
    await service.sql(
      `create table reports_bloated with (autovacuum_enabled = off) as
       select n as id, 'folder/' || md5(n::text) as key, now() as at, n % 7 = 0 as odd
       from generate_series(1, 30000) n`,
    );
    await service.sql('select pg_stat_force_next_flush()');
    await service.sql('create unique index reports_bloated_key on reports_bloated (key)');
    await service.sql(`grant select on reports_bloated to stowage_service`);
    const size = (relation: string) => ask(`pg_relation_size('${relation}')`);
    const before = await tableOf('reports_bloated');
    // It was never analyzed.
    expect(before).toMatchObject({ tableBytes: await size('reports_bloated'), deadRows: 0n });
    expect(before?.bloatBytes).toBeUndefined();
    expect(before?.analyzedAt).toBeUndefined();

    await service.sql('vacuum analyze reports_bloated');
    const fresh = await tableOf('reports_bloated');
    expect(Number(fresh?.bloatBytes)).toBeLessThan(0.1 * Number(fresh?.tableBytes));
    expect(fresh).toMatchObject({ liveRows: 30_000n, vacuumedAt: {}, analyzedAt: {} });
    const freshIndex = await indexOf('reports_bloated_key');
    expect(Number(freshIndex?.bloatBytes)).toBeLessThan(0.05 * Number(freshIndex?.sizeBytes));

    await service.sql('delete from reports_bloated where id % 10 <> 0');
    // Else what was deleted may be counted once more, behind what VACUUM has found.
    await service.sql('select pg_stat_force_next_flush()');
    await service.sql('vacuum analyze reports_bloated');
    const bloated = await tableOf('reports_bloated');
    const bloatedIndex = await indexOf('reports_bloated_key');
    expect(bloated?.liveRows).toBe(3_000n);
    await service.sql('vacuum full reports_bloated');
    const freed = Number(bloated?.tableBytes) - Number(await size('reports_bloated'));
    const freedIndex = Number(bloatedIndex?.sizeBytes) - Number(await size('reports_bloated_key'));
    expect(freed).toBeGreaterThan(0.8 * Number(bloated?.tableBytes));
    expect(Math.abs(Number(bloated?.bloatBytes) / freed - 1)).toBeLessThan(0.2);
    expect(Math.abs(Number(bloatedIndex?.bloatBytes) / freedIndex - 1)).toBeLessThan(0.2);
  });
});

describe('indexes', () => {
  /** Reads by the index on a node, and has that counted at once. */
  async function scan(node: number, condition: string) {
    const connection = await connectTo(node);
    await connection.query('set enable_seqscan = off');
    await connection.query(`select from reports_indexed where ${condition}`);
    await connection.query('select pg_stat_force_next_flush()');
    await connection.query('select');
    await connection.end();
  }

  it('are unused where no node reads them and they keep nothing unique', async () => {
    await service.sql(
      `create table reports_indexed as
       select n as id, n as never, n as here, n as there, n / 2 as twice
       from generate_series(1, 5000) n`,
    );
    await service.sql('alter table reports_indexed add primary key (id)');
    for (const column of ['never', 'here', 'there']) {
      await service.sql(`create index reports_${column} on reports_indexed (${column})`);
    }
    const broken = service.sql(
      'create unique index concurrently reports_broken on reports_indexed (twice)',
    );
    await expect(broken).rejects.toThrow(/reports_broken/);
    await service.waitUntilCaughtUp();
    await scan(0, 'here = 5');
    await scan(1, 'there = 5');

    const { indexes, nodes } = await admin().getIndexStatistics({ limit: 1000 });
    expect(nodes).toEqual(names);
    const found = (index: string) => indexes.find((each) => each.index === index);
    expect(found('reports_never')).toMatchObject({
      table: 'reports_indexed',
      sizeBytes: await ask(`pg_relation_size('reports_never')`),
      scans: 0n,
      clusterScans: 0n,
      unique: false,
      valid: true,
      definition: 'CREATE INDEX reports_never ON public.reports_indexed USING btree (never)',
    });
    expect(found('reports_here')).toMatchObject({ scans: 1n, clusterScans: 1n });
    expect(found('reports_there')).toMatchObject({ scans: 0n, clusterScans: 1n });
    expect(found('reports_indexed_pkey')).toMatchObject({ scans: 0n, unique: true });
    expect(found('reports_broken')).toMatchObject({ valid: false });
    expect(found('storage_changes_xid')).toMatchObject({ partitions: 8, valid: true });

    const ofStandby = await admin().getIndexStatistics({ limit: 1000, node: standby });
    expect(ofStandby.indexes.find(({ index }) => index === 'reports_there')).toMatchObject({
      scans: 1n,
      clusterScans: 1n,
    });
    const unused = (await allIndexes(true)).map(({ index }) => index);
    expect(unused.filter((index) => index.startsWith('reports_'))).toEqual(['reports_never']);
  });
});

describe('activity', () => {
  it('tells who blocks whom, and what they do where the login may see it', async () => {
    // A transaction that is older than theirs, and in nobody's way.
    await (await service.database.connect()).query('begin');
    const [holder, waiter] = [await service.database.connect(), await service.database.connect()];
    const pidOf = async (connection: TestConnection) =>
      (await connection.query<{ pid: number }>('select pg_backend_pid() as pid'))[0]?.pid;
    const [holds, waits] = [await pidOf(holder), await pidOf(waiter)];
    await holder.query('begin');
    await holder.query(`select from projects where project_id = 'default' for update`);
    const literal = 'x'.repeat(1_500);
    const waiting = waiter.query(
      `update projects set name = name where project_id = 'default' and name <> '${literal}'`,
    );
    const isBlocked = async () => {
      const [row] = await service.sql('select from pg_locks where not granted and pid = $1', [
        waits,
      ]);
      return row !== undefined;
    };
    await until(isBlocked, { timeoutMs: WAIT_MS, what: 'the update waits' });

    const hidden = await admin().getActivity({ minDurationMs: 86_400_000n });
    expect(hidden).toMatchObject({
      node: primary,
      total: 2,
      sessions: [
        { pid: holds, blocks: 1, blockedBy: [], user: 'postgres', state: '', statement: '' },
        { pid: waits, blocks: 0, blockedBy: [holds], state: '', wait: '', statement: '' },
      ],
    });
    await grant();
    const { sessions } = await admin().getActivity({ limit: 1000 });
    expect(sessions[0]).toMatchObject({ pid: holds, blocks: 1, state: 'idle in transaction' });
    const blocked = sessions.find(({ pid }) => pid === waits);
    expect(blocked).toMatchObject({
      state: 'active',
      wait: 'Lock: transactionid',
      blockedBy: [holds],
      address: '127.0.0.1',
    });
    expect(blocked?.statement).toMatch(/^update projects set name = name/);
    expect(blocked?.statement).toHaveLength(1_000);
    expect(blocked?.transactionMs).toBeGreaterThanOrEqual(blocked?.statementMs ?? Infinity);
    await holder.query('rollback');
    await waiting;
    const after = await admin().getActivity({ minDurationMs: 86_400_000n });
    expect(after).toMatchObject({ total: 0, sessions: [] });
    await revoke();
  });
});

describe('statements', () => {
  it('say what to do where they are not counted, else which is the service’s own', async () => {
    expect(await admin().getStatementStatistics({})).toMatchObject({
      node: primary,
      available: false,
      statements: [],
      advice: expect.stringContaining('create extension pg_stat_statements'),
    });
    await service.sql('create schema reports_counts');
    await service.sql('create extension pg_stat_statements schema reports_counts');
    const { advice } = await admin().getStatementStatistics({});
    expect(advice).toContain('alter extension pg_stat_statements set schema public');
    await service.sql('alter extension pg_stat_statements set schema public');

    const get = { project: 'default', objectKey: 'reports/none', freshness: strong };
    for (let call = 0; call < 3; call += 1)
      await failure(service.doors.gRPC.storage.getObject(get));
    await service.sql(`select 'secret', pg_sleep(0.01) /* ${'long '.repeat(300)} */`);
    const own = await admin().getStatementStatistics({ limit: 1000 });
    expect(own).toMatchObject({ node: primary, available: true, advice: '' });
    const named = own.statements.find(({ name }) => name === 'get-object');
    expect(named).toMatchObject({ calls: 3n, rows: 0n, text: expect.stringContaining('select') });
    expect(named?.totalMs).toBeGreaterThan(0);
    expect(named?.meanMs).toBeLessThanOrEqual(named?.maxMs ?? 0);
    // Another login's is not to be seen.
    expect(own.statements.filter(({ text }) => text.includes('pg_sleep'))).toEqual([]);

    await grant();
    const all = await admin().getStatementStatistics({ limit: 1000, order: 3 });
    const foreign = all.statements.find(({ text }) => text.includes('pg_sleep'));
    expect(foreign).toMatchObject({ name: '', calls: 1n });
    expect(foreign?.text).not.toContain('secret');
    expect(foreign?.text.length).toBeLessThanOrEqual(1_000);
    const calls = all.statements.map((each) => each.calls);
    expect(calls).toEqual([...calls].sort((left, right) => Number(right - left)));
    await revoke();
  });
});

describe('replication', () => {
  it('is told by every sender with its slots, and with positions to who may see them', async () => {
    const slot = 'reports_idle';
    await service.sql('select pg_create_physical_replication_slot($1)', [slot]);
    try {
      const { links, silentNodes, synchronousStandbyNames } = await admin().getReplicationStatus(
        {},
      );
      expect({ silentNodes, synchronousStandbyNames }).toEqual({
        silentNodes: [SILENT],
        synchronousStandbyNames: '',
      });
      const received = links.filter(({ receiver }) => receiver !== '');
      expect(received).toMatchObject(
        sharedCluster()
          .nodes.slice(1)
          .map(({ name }) => ({
            node: primary,
            receiver: name,
            slot: `stowage_${name}`,
            state: '',
          })),
      );
      expect(received[0]?.replayLagBytes).toBeUndefined();
      expect(received[0]?.slotRetainedBytes).toBeGreaterThanOrEqual(0n);
      expect(links.find((link) => link.slot === slot)).toMatchObject({ receiver: '', state: '' });
      await grant();
      const seen = (await admin().getReplicationStatus({})).links.find(({ state }) => state !== '');
      expect(seen).toMatchObject({ state: 'streaming', syncState: 'async', address: '127.0.0.1' });
      expect(seen?.sendLagBytes).toBeLessThanOrEqual(seen?.replayLagBytes ?? -1n);
      await revoke();
    } finally {
      await service.sql('select pg_drop_replication_slot($1)', [slot]);
    }
  });
});
