/** Starts of the embedded cluster, from nothing and from every state an earlier run may leave. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type ClusterOptions,
  type EmbeddedCluster,
  removeCluster,
  startCluster,
} from '../../src/embedded/index.js';
import { nativeFolderForTests } from '../support/postgres-version.js';
import { quickFolder } from '../support/quick-folder.js';

async function makeDataDirectory(): Promise<string> {
  return mkdtemp(join(quickFolder(), 'stowage-test-'));
}

async function removeDataDirectory(dataDirectory: string): Promise<void> {
  await removeCluster(dataDirectory);
  await rm(dataDirectory, { recursive: true, force: true });
}

async function start(
  dataDirectory: string,
  options: Partial<ClusterOptions> = {},
): Promise<EmbeddedCluster> {
  const nativeFolder = await nativeFolderForTests();
  return startCluster({ dataDirectory, nativeFolder, standbys: 0, fsync: false, ...options });
}

async function readSettings(cluster: EmbeddedCluster): Promise<Record<string, string>> {
  const rows = await cluster.primary.query<{ name: string; setting: string }>(
    'select name, setting from pg_settings',
  );
  return Object.fromEntries(rows.map((row) => [row.name, row.setting]));
}

describe('a cluster started from nothing', () => {
  let dataDirectory: string;
  let cluster: EmbeddedCluster;

  beforeAll(async () => {
    dataDirectory = await makeDataDirectory();
    // Programs and data behind a folder of mode 700, as in a private checkout that root starts.
    const link = join(dataDirectory, 'package');
    await symlink(dirname(await nativeFolderForTests()), link);
    const nativeFolder = join(link, 'native');
    cluster = await start(dataDirectory, { standbys: 2, fsync: true, nativeFolder });
  });

  afterAll(async () => {
    await cluster.stop();
    await removeDataDirectory(dataDirectory);
  });

  it('has a primary, two standbys and the safe defaults', async () => {
    expect(cluster.nodes.map((node) => [node.name, node.role])).toEqual([
      ['a', 'primary'],
      ['b', 'standby'],
      ['c', 'standby'],
    ]);
    expect(await readSettings(cluster)).toMatchObject({
      fsync: 'on',
      listen_addresses: '127.0.0.1',
      unix_socket_directories: '',
      max_slot_wal_keep_size: '1024',
      hot_standby_feedback: 'off',
      password_encryption: 'scram-sha-256',
      synchronous_commit: 'on',
      full_page_writes: 'on',
    });
    const slots = await cluster.primary.query(
      'select slot_name::text as name, active from pg_replication_slots order by 1',
    );
    expect(slots).toEqual([
      { name: 'stowage_b', active: true },
      { name: 'stowage_c', active: true },
    ]);
  });

  it('knows letters beyond ASCII and compares by code point', async () => {
    const client = new pg.Client({ connectionString: cluster.superuserUrl() });
    await client.connect();
    await client.query('create extension pg_trgm');
    const { rows } = await client.query(
      `select lower('MÜLLER') as lower, cardinality(show_trgm('документ')) > 0 as has_trigrams,
              'Z' < 'a' as is_by_code_point, getdatabaseencoding() as encoding`,
    );
    await client.end();
    expect(rows).toEqual([
      { lower: 'müller', has_trigrams: true, is_by_code_point: true, encoding: 'UTF8' },
    ]);
  });

  it('keeps the password in a file for its owner alone and refuses any other', async () => {
    const { mode } = await stat(join(cluster.folder, 'pgpass'));
    expect(mode & 0o777).toBe(0o600);
    const url = new URL(cluster.superuserUrl());
    expect(url.password.length).toBeGreaterThanOrEqual(32);
    url.password = 'wrong';
    const client = new pg.Client({ connectionString: url.href });
    await expect(client.connect()).rejects.toThrow(/password authentication failed/);
  });

  it('refuses a data directory that a living process uses, and names the process', async () => {
    const message = expect.stringContaining(`process ${process.pid} `);
    const locked = { reason: 'DATA_LOCKED', message };
    await expect(start(dataDirectory)).rejects.toMatchObject(locked);
    await expect(removeCluster(dataDirectory)).rejects.toMatchObject(locked);
  });
});

// Each test finds the data as the one before has stopped it in order: a new cluster would cost an
// initdb each.
describe('a cluster started again', () => {
  let dataDirectory: string;
  let first: EmbeddedCluster;

  beforeAll(async () => {
    dataDirectory = await makeDataDirectory();
    first = await start(dataDirectory, { standbys: 1 });
    await first.primary.query('create table kept (value int)');
    await first.stop();
  });

  afterAll(async () => {
    await removeDataDirectory(dataDirectory);
  });

  it('keeps data, password and ports between starts', async () => {
    await using second = await start(dataDirectory, { standbys: 1 });
    expect(second.superuserUrl()).toBe(first.superuserUrl());
    expect(await second.node('b').query('select from kept')).toEqual([]);
  });

  it('points standbys to the port that the primary has this time', async () => {
    const { port } = first.primary;
    const squatter = createServer().listen(port, '127.0.0.1');
    await once(squatter, 'listening');
    try {
      await using second = await start(dataDirectory, { standbys: 1 });
      expect(second.primary.port).not.toBe(port);
      await second.primary.query('create table moved (value int)');
      await second.waitUntilCaughtUp();
      await second.stop();
      await expect(start(dataDirectory, { standbys: 1, ports: [port, 0] })).rejects.toMatchObject({
        reason: 'PORT_TAKEN',
        message: expect.stringContaining(String(port)),
      });
    } finally {
      squatter.close();
    }
  });

  it('refuses data of another major version and says which', async () => {
    const file = join(first.folder, 'a', 'PG_VERSION');
    const version = await readFile(file, 'utf8');
    await writeFile(file, '14\n');
    await expect(start(dataDirectory, { standbys: 1 })).rejects.toMatchObject({
      reason: 'DATA_VERSION_MISMATCH',
      message: expect.stringContaining('PostgreSQL 14'),
    });
    await writeFile(file, version);
  });

  it('says what the server said when it does not start, and gives the folder free', async () => {
    await expect(
      start(dataDirectory, { standbys: 1, settings: { shared_buffers: 'many' } }),
    ).rejects.toMatchObject({
      reason: 'START_FAILED',
      message: expect.stringContaining('shared_buffers'),
    });
    await using second = await start(dataDirectory, { standbys: 1 });
    expect(second.primary.isRunning).toBe(true);
  });

  it('starts although a stale postmaster.pid names a process of somebody else', async () => {
    const second = await start(dataDirectory, { standbys: 1 });
    const pidFile = join(second.folder, 'a', 'postmaster.pid');
    const text = await readFile(pidFile, 'utf8');
    await second.stop();
    const other = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)']);
    try {
      await writeFile(pidFile, text.replace(/^\d+/, String(other.pid)));
      await using third = await start(dataDirectory, { standbys: 1 });
      expect(third.primary.isRunning).toBe(true);
      expect(other.exitCode).toBe(null);
    } finally {
      other.kill('SIGKILL');
    }
  });

  it('rebuilds a standby whose data is damaged', async () => {
    await rm(join(first.folder, 'b', 'global', 'pg_control'));
    await using second = await start(dataDirectory, { standbys: 1 });
    expect(await second.node('b').query('select 1 as one')).toEqual([{ one: 1 }]);
  });

  it('adds and removes standbys as their number asks', async () => {
    const second = await start(dataDirectory, { standbys: 2 });
    expect(await second.node('c').query('select from kept')).toEqual([]);
    await second.stop();
    await using third = await start(dataDirectory);
    expect(third.nodes.map((node) => node.name)).toEqual(['a']);
    expect(await third.primary.query('select from pg_replication_slots')).toEqual([]);
    expect(await readdir(third.folder)).not.toContain('c');
  });

  it('remembers who was promoted and rebuilds who cannot follow', async () => {
    const second = await start(dataDirectory, { standbys: 2 });
    // c gets a row that b, which is promoted, never had: c can follow no more.
    await second.cutReplication('b');
    await second.primary.query('insert into kept values (1)');
    await second.waitUntilCaughtUp('c');
    await second.crash('a');
    await second.promote('b');
    await second.primary.query('insert into kept values (2)');
    await second.stop();

    const steps: string[] = [];
    await using third = await start(dataDirectory, {
      standbys: 2,
      onProgress: (step) => steps.push(step),
    });
    expect(third.primary.name).toBe('b');
    expect(steps).toContain('building the standby a from the primary b');
    expect(steps).toContain('building the standby c from the primary b');
    for (const node of third.nodes) {
      expect(await node.query('select value from kept')).toEqual([{ value: 2 }]);
    }
  });
});
