// `stowage admin` over handlers of the test's own: what it asks for, what it refuses, how it ends.
import { describe, expect, it } from 'vitest';
import { HealthStatus, LogLevel, StatementOrder } from '../../src/client/index.js';
import { StowageError } from '../../src/errors.js';
import { type AdminHandlers, runAdmin } from '../support/admin-door.js';

const node = 'db2:5432';

describe('stowage admin', () => {
  it.each([
    [['database'], 'getDatabaseStatistics', { node: '' }],
    [['database', '--node', node], 'getDatabaseStatistics', { node }],
    [['tables'], 'getTableStatistics', { node: '', limit: 50, partitions: false }],
    [
      ['tables', '--partitions', '--limit', '1000', '--node', node],
      'getTableStatistics',
      { node, limit: 1000, partitions: true },
    ],
    [['indexes', '--unused', '--limit', '1'], 'getIndexStatistics', { limit: 1, unused: true }],
    [['activity'], 'getActivity', { minDurationMs: 0n, limit: 50 }],
    [['activity', '--min-duration', '1.5s'], 'getActivity', { minDurationMs: 1_500n }],
    [['activity', '--min-duration', '24h'], 'getActivity', { minDurationMs: 86_400_000n }],
    [['activity', '--min-duration', '2 min'], 'getActivity', { minDurationMs: 120_000n }],
    [
      ['statements'],
      'getStatementStatistics',
      { order: StatementOrder.TOTAL_TIME, limit: 20, node: '' },
    ],
    [
      ['statements', '--order', 'mean', '--node', node],
      'getStatementStatistics',
      { order: StatementOrder.MEAN_TIME, node },
    ],
    [['statements', '--order', 'calls'], 'getStatementStatistics', { order: StatementOrder.CALLS }],
    [['replication'], 'getReplicationStatus', {}],
    [['settings'], 'getRiskySettings', { node: '' }],
    [['settings', '--node', node], 'getRiskySettings', { node }],
    [['jobs'], 'listMaintenanceJobs', {}],
    [['vacuum', 'projects', '--analyze', '--detach'], 'vacuum', { analyze: true }],
    [['analyze', 'projects', '--detach'], 'analyze', { table: 'projects' }],
    [['reindex', 'projects_pkey', '--detach'], 'reindexConcurrently', { index: 'projects_pkey' }],
    [['cancel', 'an-id'], 'cancelMaintenanceJob', { jobId: 'an-id' }],
  ] as const)('%j asks for it', async (args, method, expected) => {
    const asked: unknown[] = [];
    const handlers: AdminHandlers = {
      [method]: (request: unknown) => {
        asked.push(request);
        throw new StowageError('NO_NODE');
      },
    };
    const { exitCode, stderr } = await runAdmin(handlers, args);
    // An id that is no UUID is refused before the handler, with the field's name.
    const isRefused = args[0] === 'cancel';
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(isRefused ? /INVALID_REQUEST: .*job_id/ : /^stowage admin: NO_NODE: /);
    expect(asked).toMatchObject(isRefused ? [] : [expected]);
  });

  it.each([
    [['tables', '--limit', '0'], 'must be a whole number from 1 to 1000.'],
    [['indexes', '--limit', '1001'], 'must be a whole number from 1 to 1000.'],
    [['statements', '--limit', 'all'], 'must be a whole number from 1 to 1000.'],
    [['statements', '--order', 'rows'], 'Allowed choices are total, mean, calls.'],
    ...['5', 's', '0s', '0.1ms', '-5s', '25h', '5 days', 'five s', '5sec', ''].map(
      (time) => [['activity', '--min-duration', time], 'such as 500ms, 5s, 2min or 1h.'] as const,
    ),
    [['database', '--node', ''], 'must not be empty.'],
    [['replication', '--node', 'db1'], "unknown option '--node'"],
    [['log-level', 'loud'], 'Allowed choices are trace, debug, info, warn, error, fatal, silent.'],
    [['vacuum'], "missing required argument 'table'"],
    [['vacuum', ''], 'must not be empty.'],
    [['reindex', 'a', 'b'], 'too many arguments'],
    [['defragment'], "unknown command 'defragment'"],
  ] as const)('is a wrong command line with %j', async (args, sentence) => {
    const { exitCode, stdout, stderr } = await runAdmin({}, args);
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
    expect(stderr).toMatch(/^error: /);
    expect(stderr).toContain(sentence);
  });

  it.each([
    ['NODE_NOT_FOUND', ['tables', '--node', 'db9'], '`stowage topology --once` shows the nodes.'],
    ['MAINTENANCE_RUNNING', ['vacuum', 't'], '`stowage admin jobs` shows it'],
    ['RELATION_NOT_FOUND', ['vacuum', 'none'], '`stowage admin tables`'],
    ['MAINTENANCE_UNAVAILABLE', ['vacuum', 't'], 'STOWAGE_ADMIN_URL'],
  ] as const)('says what to do about %s', async (reason, args, sentence) => {
    const fail = () => {
      throw new StowageError(reason);
    };
    const handlers = { getTableStatistics: fail, vacuum: fail };
    const { exitCode, stdout, stderr } = await runAdmin(handlers, args);
    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: '' });
    expect(stderr).toMatch(new RegExp(`^stowage admin: ${reason}: `));
    expect(stderr).toContain(sentence);
  });

  it('prints a report on standard output and what it does not have on standard error', async () => {
    const getTableStatistics = () => ({ node, tables: [{ table: 'projects' }], total: 2 });
    const { exitCode, stdout, stderr } = await runAdmin({ getTableStatistics }, ['tables']);
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^TABLE +SIZE .*ANALYZED\nprojects +0 B .*never\n$/);
    expect(stderr).toBe('These are 1 of 2: --limit shows more.\n');
  });

  it('prints one JSON document, of empty answers too', async () => {
    const getTableStatistics = () => ({ node, tables: [{ table: 'p', totalBytes: 5n }], total: 2 });
    const tables = await runAdmin({ getTableStatistics }, ['tables', '--json']);
    expect(tables).toMatchObject({ exitCode: 0, stderr: '' });
    // What is 0 is told as well.
    expect(JSON.parse(tables.stdout)).toMatchObject({
      ...{ node, tables: [{ table: 'p', totalBytes: '5', deadRows: '0' }], total: 2 },
    });
    const jobs = await runAdmin({ listMaintenanceJobs: () => ({}) }, ['jobs', '--json']);
    expect(jobs).toEqual({ exitCode: 0, stdout: '{\n  "jobs": []\n}\n', stderr: '' });
  });

  it('prints nothing on which a terminal acts', async () => {
    const evil = 'a\u001b[2Jb\u202ec';
    const settings = [{ node: evil, setting: evil, value: evil, risk: evil }];
    const silentNodes = [evil];
    const { stdout, stderr } = await runAdmin(
      { getRiskySettings: () => ({ settings, silentNodes }) },
      ['settings'],
      { isTerminal: true },
    );
    expect(stdout + stderr).not.toContain('\u001b');
    expect(stdout + stderr).not.toContain('\u202e');
    expect(stderr).toBe('a\\x1b[2Jb\\u{202e}c did not answer.\n');
    const statement = await runAdmin(
      { getActivity: () => ({ node, total: 1, sessions: [{ pid: 1, statement: evil }] }) },
      ['activity'],
    );
    expect(statement.stdout).toContain('\n    a\\x1b[2Jb\\u{202e}c\n');
  });

  it('cuts a statement on a terminal and leaves it whole elsewhere', async () => {
    const statement = `select ${'x, '.repeat(90)}y`;
    const handlers = { getActivity: () => ({ sessions: [{ statement }], total: 1 }) };
    const cut = await runAdmin(handlers, ['activity'], { isTerminal: true });
    expect(cut.stdout.split('\n')[2]).toMatch(/^ {4}select .{68}…$/);
    const whole = await runAdmin(handlers, ['activity']);
    expect(whole.stdout).toContain(`\n    ${statement}\n`);
  });
});

describe('stowage admin health', () => {
  it.each([
    [HealthStatus.OK, 0],
    [HealthStatus.DEGRADED, 0],
    [HealthStatus.DOWN, 1],
  ])('of status %i ends with %i, with --json too', async (status, expected) => {
    const handlers = { getHealth: () => ({ report: { status } }) };
    const { exitCode, stderr } = await runAdmin(handlers, ['health']);
    expect({ exitCode, stderr }).toEqual({ exitCode: expected, stderr: '' });
    const json = await runAdmin(handlers, ['health', '--json']);
    expect(json.exitCode).toBe(expected);
    expect(JSON.parse(json.stdout)).toMatchObject({
      report: { status: `HEALTH_STATUS_${HealthStatus[status]}`, canWrite: false, findings: [] },
    });
  });
});

describe('stowage admin log-level', () => {
  it('tells the level and changes it', async () => {
    let level = LogLevel.INFO;
    const handlers: AdminHandlers = {
      getLogLevel: () => ({ level }),
      setLogLevel(request) {
        const formerLevel = level;
        level = request.level;
        return { formerLevel };
      },
    };
    expect((await runAdmin(handlers, ['log-level'])).stdout).toBe('info\n');
    const changed = await runAdmin(handlers, ['log-level', 'debug']);
    expect(changed.stdout).toBe('the server logs at debug until it stops; it was info\n');
    const told = await runAdmin(handlers, ['log-level', '--json']);
    expect(JSON.parse(told.stdout)).toEqual({ level: 'LOG_LEVEL_DEBUG' });
  });
});
