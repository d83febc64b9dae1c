import { PassThrough } from 'node:stream';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { indexCommand } from '../../src/cli/metadata-index.js';
import { until } from '../../src/lib/wait.js';
import { progressOf } from '../../src/postgres/build-progress.js';
import { metadataIndexName } from '../../src/postgres/metadata-path.js';
import { migrateDown, migrateUp } from '../../src/postgres/migrate.js';
import { readMigrationNames } from '../../src/postgres/migration-files.js';
import { sharedCluster } from '../support/cluster.js';
import { createTestDatabase, type TestConnection, type TestDatabase } from '../support/database.js';

let database: TestDatabase;
let admin: TestConnection;

beforeAll(async () => {
  database = await createTestDatabase(sharedCluster().nodes[0]?.url ?? '');
  admin = await database.connect();
});

beforeEach(async () => {
  await admin.query('delete from metadata_indexes');
  for (const index of await indexes()) await admin.query(`drop index ${index}`);
});

afterAll(() => database.drop());

/** Runs the command; `progress` is what it shows beside its output. */
async function run(...words: string[]): Promise<{ lines: string[]; progress: string }> {
  const lines: string[] = [];
  const stream = new PassThrough();
  const command = indexCommand({
    database: () => database.url,
    print: (line) => lines.push(line),
    progress: stream as unknown as NodeJS.WriteStream,
  });
  for (const each of [command, ...command.commands]) {
    each.exitOverride().configureOutput({ writeErr: (line) => lines.push(line) });
  }
  await command.parseAsync(words, { from: 'user' });
  return { lines, progress: String(stream.read() ?? '') };
}

/** The indexes of paths that are there. */
async function indexes(): Promise<string[]> {
  const rows = await admin.query<{ name: string }>(
    `select relname as name from pg_class
     where relkind = 'i' and relname like 'storage_objects_metadata\\__%' order by relname`,
  );
  return rows.map(({ name }) => name);
}

async function record(key: string, metadata: string): Promise<void> {
  await admin.query(
    `insert into storage_objects (project_id, object_key, id, size, storage_backend, metadata)
     values ('default', $1, gen_random_uuid(), 1, 's3', $2::jsonb)`,
    [key, metadata],
  );
}

describe('stowage index', () => {
  it('adds, lists and drops', async () => {
    expect((await run('list')).lines).toEqual(['there are no indexes of the metadata']);
    const added = await run('add', 'metadata.owner');
    expect(added.lines).toEqual(['metadata.owner (text) is indexed']);
    expect((await run('add', 'metadata.owner')).lines).toEqual([
      'metadata.owner (text) was indexed already',
    ]);
    await run('add', 'metadata.owner', '--type', 'number');
    const { lines } = await run('list');
    expect(lines[0]).toMatch(/^PATH +TYPE +STATE +SIZE +SCANS$/);
    expect(lines[1]).toMatch(/^metadata\.owner +number +ready +8\.0 KiB +0$/);
    expect(lines[2]).toMatch(/^metadata\.owner +text +ready +8\.0 KiB +0$/);
    const dropped = await run('drop', 'metadata.owner');
    expect(dropped.lines).toEqual(['metadata.owner (text) is no longer indexed']);
    expect(await indexes()).toEqual([metadataIndexName(['owner'], 'number')]);
    expect((await run('list')).lines).toHaveLength(2);
  });

  it('takes any path as a name and none as SQL', async () => {
    const path = `metadata.o'wner"; drop table storage_objects; -- {\\,}.имя.名\u{1F600}`;
    await run('add', path);
    const [index] = await indexes();
    const [row] = await admin.query<{ definition: string }>(
      'select pg_get_indexdef($1::regclass) as definition',
      [index],
    );
    expect(row?.definition).toContain('имя');
    // As every table shows it: a backslash is doubled.
    expect((await run('list')).lines[1]).toContain(path.replace('\\', '\\\\'));
    await run('drop', path);
    expect(await indexes()).toEqual([]);
  });

  it('prints nothing of a path that a terminal acts on, and JSON that means the same', async () => {
    const path = 'metadata.a\u001b[2J\u202e发票';
    const said = [await run('add', path), await run('list'), await run('list', '--json')];
    const [added = '', table = '', json = ''] = said.map(({ lines }) => lines.join('\n'));
    expect(added).toBe('metadata.a\\x1b[2J\\u{202e}发票 (text) is indexed');
    expect(table).toContain('metadata.a\\x1b[2J\\u{202e}发票');
    expect(['\u001b', '\u202e'].filter((each) => json.includes(each))).toEqual([]);
    const index = { path, type: 'text', state: 'ready', bytes: 8192, scans: 0 };
    expect(JSON.parse(json)).toEqual([index]);
    expect((await run('drop', path)).lines.join()).not.toContain('\u001b');
  });

  it('names the setting of the database where none answers', async () => {
    const { url } = database;
    const command = indexCommand({
      database: () => url.replace(/:\d+\//, ':1/'),
      print: () => undefined,
      progress: new PassThrough() as unknown as NodeJS.WriteStream,
    });
    await expect(command.parseAsync(['list'], { from: 'user' })).rejects.toMatchObject({
      reason: 'NO_PRIMARY',
      message: expect.stringContaining('STOWAGE_ADMIN_URL'),
    });
  });

  it.each([
    ['owner', 'path: begins with metadata.'],
    ['metadata.', 'path: has names'],
    ['metadata.a..b', 'path: has names'],
    [`metadata.${'ü'.repeat(128)}`, 'path: has at most 255 bytes'],
    ['metadata.a.b.c.d.e.f.g.h.i', 'path: has at most 8 names'],
  ])('refuses the path %s', async (path, message) => {
    for (const verb of ['add', 'drop']) {
      await expect(run(verb, path)).rejects.toMatchObject({
        reason: 'INVALID_REQUEST',
        message: expect.stringContaining(message),
      });
    }
  });

  it('refuses to drop what is not there, a type that is none, and a 17th index', async () => {
    await expect(run('drop', 'metadata.owner')).rejects.toMatchObject({
      reason: 'INVALID_REQUEST',
      message: 'path: there is no index of metadata.owner for values of type text',
    });
    await expect(run('add', 'metadata.owner', '--type', 'date')).rejects.toMatchObject({
      code: 'commander.invalidArgument',
    });
    await admin.query(
      `insert into metadata_indexes (path, type, index_name)
       select n::text, 'text', 'none_' || n from generate_series(1, 16) as n`,
    );
    await expect(run('add', 'metadata.owner')).rejects.toMatchObject({
      message: 'path: there are 16 indexes already; drop one first',
    });
  });

  it('drops what a build that died has left, says so, and builds anew', async () => {
    await run('add', 'metadata.owner');
    const [index] = await indexes();
    const spoil = 'update pg_index set indisvalid = false where indexrelid = $1::regclass';
    await admin.query(spoil, [index]);
    expect((await run('list')).lines[1]).toMatch(/^metadata\.owner +text +unfinished/);
    const again = await run('add', 'metadata.owner');
    expect(again.progress).toContain('dropped what was left of a build that did not end');
    expect((await run('list')).lines[1]).toMatch(/^metadata\.owner +text +ready/);
  });

  /** Runs the body beside a transaction that every build has to wait for. */
  async function besideWriter(body: (end: () => Promise<void>) => Promise<void>): Promise<void> {
    const writer = await database.connect();
    await writer.query('begin');
    await writer.query('lock table storage_objects in row exclusive mode');
    const end = async () => {
      await writer.query('rollback');
    };
    try {
      await body(end);
    } finally {
      await end();
    }
  }

  async function builder(): Promise<number> {
    return until(
      async () => {
        const [row] = await admin.query<{ pid: number }>(
          `select pid from pg_stat_progress_create_index
           where datname = current_database() and phase like 'waiting for writers%'`,
        );
        return row?.pid;
      },
      { timeoutMs: 10_000, what: 'the build waits for the writer' },
    );
  }

  it('lets writes go on, and leaves nothing where it fails', async () => {
    await besideWriter(async (end) => {
      const build = run('add', 'metadata.owner').catch((error: unknown) => error);
      const pid = await builder();
      await record('during', '{"owner": "x"}');
      expect((await run('list')).lines[1]).toMatch(/^metadata\.owner +text +building/);
      await expect(run('add', 'metadata.rank')).rejects.toMatchObject({ reason: 'OVERLOADED' });
      await admin.query('select pg_cancel_backend($1)', [pid]);
      await end();
      expect(await build).toMatchObject({
        reason: 'INTERNAL',
        message: expect.stringMatching(/^The index was not built; nothing of it is left: cancel/),
      });
      expect(await indexes()).toEqual([]);
      expect((await run('list')).lines).toEqual(['there are no indexes of the metadata']);
    });
  });

  it('says what is left of a build that cannot be cleaned up', async () => {
    await besideWriter(async (end) => {
      const build = run('add', 'metadata.owner').catch((error: unknown) => error);
      await admin.query('select pg_cancel_backend($1)', [await builder()]);
      expect(await build).toMatchObject({
        message: expect.stringContaining('what is left goes with the next try'),
      });
      expect((await run('list')).lines[1]).toMatch(/^metadata\.owner +text +unfinished/);
      await end();
    });
    expect((await run('drop', 'metadata.owner')).lines).toHaveLength(1);
    expect(await indexes()).toEqual([]);
  });

  it('shows how far a build is', async () => {
    await besideWriter(async (end) => {
      const building = run('add', 'metadata.owner');
      const asked = async () => {
        const rows = await admin.query(
          `select from pg_stat_activity where datname = current_database() and state = 'idle'
           and query like '%from pg_stat_progress_create_index where pid%'`,
        );
        return rows.length > 0;
      };
      await builder();
      await until(asked, { timeoutMs: 10_000, what: 'the progress was asked for' });
      await end();
      const { progress, lines } = await building;
      expect(lines).toEqual(['metadata.owner (text) is indexed']);
      expect(progress).toMatch(/^index: \d+ %, \w+/m);
    });
  });

  it('holds values of any length without failing the writes that have them', async () => {
    await run('add', 'metadata.owner');
    await run('add', 'metadata.owner', '--type', 'number');
    await record('long text', JSON.stringify({ owner: 'ы'.repeat(30_000) }));
    await record('many digits', `{"owner": 1${'2'.repeat(30_000)}}`);
    await record('least', '{"owner": 5e-324}');
    await record('greatest', '{"owner": 1.7976931348623157e308}');
    await record('object', '{"owner": {"a": 1}}');
    const [row] = await admin.query<{ count: string }>('select count(*) from storage_objects');
    expect(Number(row?.count)).toBeGreaterThanOrEqual(5);
  });

  it('needs the migrations, which take its indexes with them when they go', async () => {
    await run('add', 'metadata.owner');
    const program = await readMigrationNames();
    const at = program.findIndex((name) => name.startsWith('0009'));
    await migrateDown({ database: database.url, count: program.length - at });
    expect(await indexes()).toEqual([]);
    for (const words of [['list'], ['add', 'metadata.a'], ['drop', 'metadata.a']]) {
      await expect(run(...words)).rejects.toMatchObject({ reason: 'SCHEMA_MISMATCH' });
    }
    await migrateUp({ database: database.url });
    expect((await run('list')).lines).toEqual(['there are no indexes of the metadata']);
  });
});

describe('the progress of a build', () => {
  it('rises from phase to phase', () => {
    const none = { blocks_done: '0', blocks_total: '0', tuples_done: '0', tuples_total: '0' };
    const seen = [
      progressOf({ ...none, phase: 'initializing' }),
      progressOf({ ...none, phase: 'building index: scanning table', blocks_total: '8' }),
      progressOf({
        ...none,
        ...{ phase: 'building index: scanning table', blocks_done: '6', blocks_total: '8' },
      }),
      progressOf({ ...none, phase: 'building index: loading tuples in tree' }),
      progressOf({
        ...none,
        ...{ phase: 'building index: loading tuples in tree', tuples_done: '1', tuples_total: '2' },
      }),
      progressOf({ ...none, phase: 'waiting for old snapshots' }),
    ].map(({ done }) => Math.round(done * 1000));
    expect(seen).toEqual([0, 0, 488, 700, 750, 1000]);
    expect(progressOf({ ...none, phase: 'a phase of a later version' }).done).toBe(0);
  });
});
