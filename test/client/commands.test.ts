/** `stowage scan`, `project`, `topology` and `admin` as a user runs them, on a real server. */

import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { adminCommand } from '../../src/cli/admin.js';
import { projectCommand } from '../../src/cli/project.js';
import { topologyCommand } from '../../src/cli/topology.js';
import { sharedCluster } from '../support/cluster.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { type MadeTree, makeTree, removeTree } from '../support/make-tree.js';
import { mainFile } from '../support/program.js';
import { type ServeChild, startServe } from '../support/serve-child.js';
import { type Ran, runCommand } from '../support/shell.js';

let database: TestDatabase;
let server: ServeChild;
let folder: string;
let tree: MadeTree;

beforeAll(async () => {
  database = await createTestDatabase(sharedCluster().nodes[0]?.url ?? '');
  server = await startServe(database.serviceUrl ?? '', { STOWAGE_ADMIN_URL: database.url });
  folder = await mkdtemp(path.join(tmpdir(), 'stowage-commands-'));
  tree = await makeTree(path.join(folder, 'tree'), { files: 150, seed: 3 });
});

afterAll(async () => {
  await server?.[Symbol.asyncDispose]();
  await removeTree(path.join(folder, 'tree'));
  await rm(folder, { recursive: true, force: true });
  await database?.drop();
});

function stowage(...given: string[]): Promise<Ran> {
  const args = [mainFile, ...given];
  return new Promise((resolve) => {
    const child = execFile(process.execPath, args, (_, stdout, stderr) => {
      resolve({ exitCode: child.exitCode ?? -1, stdout, stderr });
    });
  });
}

const at = (): string[] => ['--server', server.grpc];

describe('stowage scan', () => {
  it('prints one JSON document and exits with 3 where names are no keys', async () => {
    const { exitCode, stdout } = await stowage('scan', tree.root, ...at(), '--json');
    expect(exitCode).toBe(3);
    const found = JSON.parse(stdout);
    expect(found).toMatchObject({ changed: 0, unchanged: 0, missing: 0, exit_code: 3 });
    expect(found.added).toBeGreaterThanOrEqual(tree.files.size);
    expect(found.skipped).toBe(found.findings.length);
  });

  it('says in sentences that all is unchanged the next time', async () => {
    const odd = path.join(tree.root, 'odd');
    const args = ['scan', odd, ...at(), '--prefix', 'again'];
    const first = await stowage(...args);
    expect(first).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/^29 added, 0 ch/) });
    const second = await stowage(...args);
    expect(second.exitCode).toBe(0);
    expect(second.stdout).toMatch(/^0 added, 0 changed, 29 unchanged, 0 missing, 0 skipped\n/);
  });

  it('exits with 2 for what is no directory and with 1 for what the service refuses', async () => {
    const [absent, wrong, refused] = await Promise.all([
      stowage('scan', path.join(folder, 'absent'), ...at()),
      stowage('scan', tree.root, ...at(), '--batch', '0'),
      stowage('scan', tree.root, ...at(), '--project', 'nobody-made-this'),
    ]);
    expect(absent).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('ENOENT') });
    expect(wrong.exitCode).toBe(2);
    expect(refused.exitCode).toBe(1);
    expect(refused.stderr).toContain('stowage scan: PROJECT_NOT_FOUND: ');
  });
});

describe('stowage', () => {
  it('does not delete for an empty directory or an empty backend', async () => {
    const empty = await mkdtemp(path.join(folder, 'empty-'));
    const attempts = [
      [empty, '--delete'],
      [tree.root, '--backend', ''],
    ];
    const ran = attempts.map((attempt) => stowage('scan', ...attempt, ...at()));
    for (const { exitCode, stderr } of await Promise.all(ran)) {
      expect(exitCode).toBe(2);
      expect(stderr).toMatch(/is empty|must not be empty/);
    }
  });

  it('ends quietly when nobody reads its output', async () => {
    const { exitCode, stderr } = await new Promise<Ran>((resolve) => {
      const program = `node ${mainFile} migrate up --dry-run`;
      const command = `${program} | true; exit $\{PIPESTATUS[0]}`;
      const env = { ...process.env, STOWAGE_ADMIN_URL: database.url };
      const child = execFile('bash', ['-c', command], { env }, (_, stdout, text) => {
        resolve({ exitCode: child.exitCode ?? -1, stdout, stderr: text });
      });
    });
    expect(stderr).toBe('');
    expect(exitCode).toBeLessThan(2);
  });

  it('tells its version, and exits with 2 for a wrong command line', async () => {
    const [version, none, unknown, option] = await Promise.all([
      stowage('--version'),
      stowage(),
      stowage('migrate', 'sideways'),
      stowage('serve', '--fast'),
    ]);
    expect(version).toMatchObject({
      exitCode: 0,
      stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
    });
    expect([none, unknown, option].map(({ exitCode }) => exitCode)).toEqual([2, 2, 2]);
    expect(option.stderr).toContain("unknown option '--fast'");
  });
});

function project(...given: string[]): Promise<Ran> {
  return runCommand((shell) => projectCommand({ server: server.grpc }, shell), given);
}

describe('stowage project', () => {
  it('makes, changes, lists and deletes a project', async () => {
    const made = await project('create', 'acme', '--name', 'ACME');
    expect(made).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/^name +ACME$/m) });
    const metadata = '{"stage":2}';
    const changed = await project(
      ...['update', 'acme', '--progress', '50', '--metadata', metadata, '--json'],
    );
    expect(JSON.parse(changed.stdout)).toMatchObject({
      project: 'acme',
      name: 'ACME',
      progress: 50,
      metadata: { stage: 2 },
      revision: '2',
    });
    const listed = await project('list');
    expect(listed.stdout).toMatch(/^PROJECT +NAME/);
    expect(listed.stdout).toMatch(/^acme +ACME +en +active +50 %/m);
    const deleted = await project('delete', 'acme');
    expect(deleted.exitCode).toBe(0);
    const gone = await project('list', '--json');
    expect(JSON.parse(gone.stdout)).toMatchObject([{ project: 'default' }]);
  });

  it('says in one sentence with its reason what the service refuses', async () => {
    const unknown = await project('get', 'nobody');
    expect(unknown.exitCode).toBe(1);
    expect(unknown.stderr).toMatch(/^stowage project: PROJECT_NOT_FOUND: [^\n]+\n$/);
    const wrong = await project('create', 'Not An Id');
    expect(wrong.stderr).toMatch(/^stowage project: INVALID_REQUEST: [^\n]+project[^\n]+\n$/);
  });
});

function topology(...given: string[]): Promise<Ran> {
  return runCommand((shell) => topologyCommand({ server: server.grpc }, shell), given);
}

describe('stowage topology', () => {
  it('drains and undrains a node that is there, and shows it', async () => {
    const { host, port } = sharedCluster().nodes[0] ?? {};
    const node = `${host}:${port}`;
    const connection = await database.connect();
    const drained = () => connection.query<{ node: string }>('select node from node_drains');
    const first = await topology('drain', node);
    expect(first).toMatchObject({ exitCode: 0, stderr: '' });
    expect(first.stdout).toBe(
      `${node} is the primary: it takes what only a primary can, and is drained as a standby\n`,
    );
    expect(await drained()).toEqual([{ node }]);
    const second = await topology('undrain', node);
    expect(second).toMatchObject({ exitCode: 0, stdout: `${node} may take calls\n` });
    expect(await drained()).toEqual([]);
    const unknown = await topology('drain', 'db9:5432');
    expect(unknown.exitCode).toBe(1);
    expect(unknown.stderr).toMatch(/^stowage topology: NODE_NOT_FOUND: .*\(node: db9:5432\)\n/);
    const gone = await topology('undrain', 'db9:5432');
    expect(gone).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('NODE_NOT_FOUND') });
    const shown = await topology('--once');
    expect(shown.stdout).toMatch(new RegExp(`^primary ${node} .*writable\\n`));
  });
});

function admin(...given: string[]): Promise<Ran> {
  return runCommand((shell) => adminCommand({ server: server.grpc }, shell), given);
}

describe('stowage admin', () => {
  it('shows health, database, tables, indexes and sessions', async () => {
    const { host, port } = sharedCluster().nodes[0] ?? {};
    const node = `${host}:${port}`;
    const health = await admin('health');
    expect(health).toMatchObject({ exitCode: 0, stderr: '' });
    expect(health.stdout).toMatch(/^(ok|degraded): reads and writes are served\n/);
    expect(health.stdout).toMatch(new RegExp(`^${node} +primary `, 'm'));
    const reports = [
      [['database', '--node', node], new RegExp(`^node +${node}\\ndatabase +${database.name}\\n`)],
      [['tables'], /^storage_objects +\d/m],
      [['tables', '--partitions', '--limit', '1000'], /^storage_audit_\d+_\d+ +\d/m],
      [['indexes', '--limit', '1000'], /^storage_objects_pkey .* unique /m],
      [['activity'], /^ *PID +STATE .*SESSION\n/],
      [['replication'], /^Commits wait for no standby\.\n/],
      [['settings'], /^fsync +off +reload\n {4}.*\n {4}On /m],
    ] as const;
    for (const [args, expected] of reports) {
      expect(await admin(...args)).toMatchObject({
        exitCode: 0,
        stdout: expect.stringMatching(expected),
      });
    }
    const { stdout } = await admin('indexes', '--unused', '--json');
    expect(JSON.parse(stdout)).toMatchObject({ node, nodes: [node] });
  });

  it('vacuums, analyzes and reindexes, and lists the jobs', async () => {
    const works = [
      ['vacuum', 'storage_objects', '--analyze'],
      ['analyze', 'storage_audit'],
      ['reindex', 'storage_objects_pkey'],
    ] as const;
    for (const [kind, target, ...options] of works) {
      const done = await admin(kind, target, ...options);
      expect(done.stdout).toMatch(new RegExp(`^${kind} ${target}: done in [\\d.]+ m?s\\n$`));
      expect(done.exitCode).toBe(0);
    }
    const { stdout: jobs } = await admin('jobs');
    expect(jobs.match(/^ {4}(vacuum|analyze|reindex) \w+$/gm)).toEqual(
      works.map(([kind, target]) => `    ${kind} ${target}`).reverse(),
    );
    const id = /^[\da-f-]{36}/m.exec(jobs)?.[0] ?? '';
    expect((await admin('cancel', id)).stdout).toMatch(/^reindex storage_objects_pkey: done in /);
  });

  it('says what is not there', async () => {
    const lost = '0193b2c4-7c00-7000-8000-000000000000';
    const attempts = [
      [['tables', '--node', 'db9:5432'], 'NODE_NOT_FOUND: .*\\(node: db9:5432\\)'],
      [['vacuum', 'no_table'], 'RELATION_NOT_FOUND: .*no_table'],
      [['reindex', 'no_index'], 'RELATION_NOT_FOUND: .*no_index'],
      [['cancel', lost], 'MAINTENANCE_JOB_NOT_FOUND: '],
      [['cancel', 'it'], 'INVALID_REQUEST: .*job_id'],
    ] as const;
    for (const [args, expected] of attempts) {
      const { exitCode, stdout, stderr } = await admin(...args);
      expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: '' });
      expect(stderr).toMatch(new RegExp(`^stowage admin: ${expected}`));
    }
  });

  it('changes how much the server logs', async () => {
    const { stdout: former } = await admin('log-level');
    expect((await admin('log-level', 'debug')).stdout).toContain(`it was ${former}`);
    expect((await admin('log-level')).stdout).toBe('debug\n');
    await admin('log-level', former.trim());
  });
});
