// `stowage hooks` over handlers of the test's own: what it asks for, prints and refuses.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { StowageError } from '../../src/errors.js';
import { type KeepingHandlers, runKeeping } from '../support/keeping-door.js';
import { linesOf } from '../support/object-commands.js';

const time = { seconds: 1_700_000_000n, nanos: 123_456_000 };
const hook = (hookName: string, fields: object = {}) => ({
  ...{ hookName, eventTypes: ['object.*', 'DOCUMENT_ARCHIVED'], revision: 1n },
  ...fields,
});

let folder: string;
let secretFile: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'stowage-hooks-'));
  secretFile = join(folder, 'secret');
  await writeFile(secretFile, 'a secret of 16 bytes and more\n');
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('stowage hooks', () => {
  it.each([
    [[], 'listHooks', { pageSize: 1000 }],
    [['get', 'erp'], 'getHook', { hookName: 'erp' }],
    [
      ['create', 'erp', '--event', 'object.*', '--event', 'A', '--prefix', 'p/', '--disabled'],
      'createHook',
      {
        hook: { hookName: 'erp', eventTypes: ['object.*', 'A'], keyPrefix: 'p/', disabled: true },
      },
    ],
    [
      ['update', 'erp', '--filter', '{"a":1}', '--target', '', '--if-revision', '3'],
      'updateHook',
      {
        hook: { hookName: 'erp', metadataFilter: { a: 1 }, target: '' },
        updateMask: { paths: ['metadata_filter', 'target'] },
        ifRevision: 3n,
      },
    ],
    [
      ['update', 'erp', '--no-secret'],
      'updateHook',
      { hook: { secret: '' }, updateMask: { paths: ['secret'] } },
    ],
    [
      ['disable', 'erp'],
      'updateHook',
      { hook: { disabled: true }, updateMask: { paths: ['disabled'] } },
    ],
    [['enable', 'erp'], 'updateHook', { hook: { disabled: false } }],
    [['delete', 'erp', '--if-revision', '2'], 'deleteHook', { hookName: 'erp', ifRevision: 2n }],
    [
      ['log', 'erp', 'A', '--key', 'k', '--took', '0.342', '--response', '{"ok":true}'],
      'logExecution',
      {
        execution: {
          ...{ hookName: 'erp', eventType: 'A', objectKey: 'k', executionTime: 0.342 },
          ...{ success: true, response: { ok: true } },
        },
      },
    ],
    [
      ['log', 'erp', 'A', '--error', 'no'],
      'logExecution',
      { execution: { success: false, errorMessage: 'no' } },
    ],
    [
      ['runs', 'erp', '--event', 'A', '--key', 'k', '--failed', '-n', '5'],
      'listExecutions',
      {
        pageSize: 5,
        filter: { hookName: 'erp', eventType: 'A', objectKey: 'k', success: false },
      },
    ],
    [
      ['stats', '--hours', '48', '--event', 'A'],
      'getHookStatistics',
      { hours: 48, eventType: 'A', hookName: '' },
    ],
  ] as const)('%j asks for it', async (args, method, expected) => {
    const asked: unknown[] = [];
    const handlers: KeepingHandlers = {
      [method]: (request: unknown) => {
        asked.push(request);
        throw new StowageError('HOOK_NOT_FOUND');
      },
    };
    const { exitCode, stderr } = await runKeeping(handlers, ['hooks', ...args]);
    expect(stderr).toMatch(/^stowage hooks: HOOK_NOT_FOUND: /);
    expect(exitCode).toBe(1);
    expect(asked).toMatchObject([expected]);
  });

  it.each([
    [['create', 'erp'], '--event says which kinds of events'],
    [['update', 'erp'], 'nothing is to change'],
    [['update', 'erp', '--no-secret', '--secret-file', '-'], 'cannot be used with option'],
    [['update', 'erp', '--secret', 'abc'], "unknown option '--secret'"],
    [['log', 'erp', 'A', '--took', 'long'], 'must be a number of seconds'],
    [['stats', '--hours', '0'], 'must be a whole number from 1 to 8784.'],
    [['list', 'all'], 'too many arguments'],
  ] as const)('is a wrong command line with %j', async (args, sentence) => {
    const { exitCode, stdout, stderr } = await runKeeping({}, ['hooks', ...args]);
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
    expect(stderr).toContain(sentence);
  });

  it('lists hooks, and prints one as a record', async () => {
    const erp = hook('erp', { keyPrefix: 'p/', target: 'https://erp.example/in', disabled: true });
    const handlers: KeepingHandlers = {
      listHooks: () => ({ hooks: [erp, hook('b')] }),
      getHook: () => ({ hook: { ...erp, hasSecret: true, createdAt: time } }),
    };
    const { stdout } = await runKeeping(handlers, ['hooks']);
    expect(linesOf(stdout)).toEqual([
      'HOOK  STATE     EVENTS                       PREFIX  TARGET',
      'erp   disabled  object.*, DOCUMENT_ARCHIVED  p/      https://erp.example/in',
      'b     enabled   object.*, DOCUMENT_ARCHIVED',
    ]);
    const record = await runKeeping(handlers, ['hooks', 'get', 'erp']);
    expect(linesOf(record.stdout)).toEqual([
      'hook      erp',
      'state     disabled',
      'events    object.*, DOCUMENT_ARCHIVED',
      'prefix    p/',
      'target    https://erp.example/in',
      'secret    is set',
      'created   2023-11-14T22:13:20.123456Z',
      'revision  1',
    ]);
    const json = await runKeeping(handlers, ['hooks', 'list', '--json']);
    expect(linesOf(json.stdout).map((line) => JSON.parse(line).hookName)).toEqual(['erp', 'b']);
    const none = await runKeeping({ listHooks: () => ({}) }, ['hooks']);
    expect(none).toEqual({ exitCode: 0, stdout: '', stderr: 'There are no hooks.\n' });
  });

  it('shows executions, the newest last, and how hooks fared', async () => {
    const run = { hookName: 'erp', eventType: 'A', timestamp: time };
    const handlers: KeepingHandlers = {
      listExecutions: () => ({
        executions: [
          { ...run, objectKey: 'k', executionTime: 0.342 },
          { ...run, success: false, errorMessage: 'no\u0007' },
        ],
      }),
      getHookStatistics: () => ({
        statistics: [
          {
            ...{ hookName: 'erp', eventType: 'A', totalExecutions: 1_200n, failed: 2n },
            ...{ avgExecutionTime: 0.25, p50ExecutionTime: 0.2, p95ExecutionTime: 1.5 },
            ...{ lastError: 'no', lastErrorAt: time, lastRunAt: time },
          },
        ],
      }),
    };
    const runs = await runKeeping(handlers, ['hooks', 'runs']);
    expect(linesOf(runs.stdout)).toEqual([
      'TIME                  HOOK  EVENT  RESULT    TOOK  KEY',
      '2023-11-14T22:13:20Z  erp   A      failed',
      '    failed: no\\x07',
      '2023-11-14T22:13:20Z  erp   A      ok      342 ms  k',
    ]);
    const stats = await runKeeping(handlers, ['hooks', 'stats']);
    expect(linesOf(stats.stdout)).toEqual([
      'HOOK  EVENT   RUNS  FAILED    MEAN     P50    P95  P99  LAST RUN',
      'erp   A      1,200       2  250 ms  200 ms  1.5 s       2023-11-14T22:13:20Z',
      '    failed last at 2023-11-14T22:13:20Z: no',
    ]);
  });
});

describe('the secret of a hook', () => {
  const made: unknown[] = [];
  const handlers: KeepingHandlers = {
    createHook({ hook: asked }) {
      made.push(asked?.secret);
      return { hook: hook('erp', { hasSecret: true }) };
    },
  };
  const create = (file: string, input = '') =>
    runKeeping(handlers, ['hooks', 'create', 'erp', '--event', '*', '--secret-file', file], {
      input,
    });

  it('is read from a file or standard input, and never printed', async () => {
    const fromFile = await create(secretFile);
    const fromInput = await create('-', 'typed secret, 16 bytes');
    expect(made).toEqual(['a secret of 16 bytes and more', 'typed secret, 16 bytes']);
    for (const { exitCode, stdout, stderr } of [fromFile, fromInput]) {
      expect(exitCode).toBe(0);
      expect(stdout).toContain('secret    is set');
      expect(stdout + stderr).not.toMatch(/typed|a secret of/);
    }
  });

  it.each([
    ['an empty one', '\n', 'the secret is empty'],
    ['one of a wrong file', 'x'.repeat(5_000), 'the secret is longer than any may be'],
  ])('is not %s', async (_what, input, sentence) => {
    const before = made.length;
    const { exitCode, stderr } = await create('-', input);
    expect(exitCode).toBe(1);
    expect(stderr).toContain(sentence);
    expect(made).toHaveLength(before);
  });
});
