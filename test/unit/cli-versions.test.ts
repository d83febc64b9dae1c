// `stowage versions` and `version` over handlers of the test's own: what they ask for, print and
// refuse.
import { describe, expect, it } from 'vitest';
import { DifferenceKind } from '../../src/client/index.js';
import { StowageError } from '../../src/errors.js';
import { type KeepingHandlers, runKeeping } from '../support/keeping-door.js';
import { linesOf } from '../support/object-commands.js';

const time = { seconds: 1_700_000_000n, nanos: 123_456_000 };
const version = (versionId: string, fields: object = {}) => ({
  ...{ objectKey: 'a.pdf', versionId, size: 2048n, etag: 'e1', lastModified: time },
  ...fields,
});

describe('stowage versions', () => {
  const handlers: KeepingHandlers = {
    listVersions: ({ pageToken }) =>
      pageToken === ''
        ? {
            versions: [
              version('v3', { isLatest: true, restoredFrom: 'v1', createdBy: 'john' }),
              version('v2', { deleteMarker: true, size: 0n, etag: '' }),
            ],
            nextPageToken: 'next',
          }
        : {
            versions: [
              version('v1', { comment: 'as\u001b[2J it came', tags: { reviewed: 'true' } }),
            ],
          },
  };

  it('lists page after page, with what was said of each below it', async () => {
    const { exitCode, stdout, stderr } = await runKeeping(handlers, ['versions', 'a.pdf']);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    expect(linesOf(stdout)).toEqual([
      'VERSION  LAST MODIFIED            SIZE  STATE     BY    ETAG',
      'v3       2023-11-14T22:13:20Z  2.0 KiB  latest    john  e1',
      '    restored from v1',
      'v2       2023-11-14T22:13:20Z        -  deletion',
      'v1       2023-11-14T22:13:20Z  2.0 KiB                  e1',
      '    as\\x1b[2J it came',
      '    reviewed=true',
    ]);
  });

  it('prints a version a line as JSON', async () => {
    const { stdout } = await runKeeping(handlers, ['versions', 'a.pdf', '--json', '--limit', '3']);
    expect(linesOf(stdout).map((line) => JSON.parse(line))).toMatchObject([
      { versionId: 'v3', isLatest: true },
      { versionId: 'v2', deleteMarker: true },
      { versionId: 'v1', tags: { reviewed: 'true' } },
    ]);
  });

  it('does without columns on a narrow terminal, and shows each id whole', async () => {
    const id = '0193b2c4-7c00-7000-8000-000000000000';
    const etag = 'd8e8fca2dc0f896fd7cb4cb0031ba249';
    const listVersions = () => ({ versions: [version(id, { etag, createdBy: 'john' })] });
    const line = ['versions', 'a.pdf'] as const;
    const { stdout } = await runKeeping({ listVersions }, line, { isTerminal: true });
    const [titles = '', row = ''] = linesOf(stdout);
    expect(titles).not.toContain('ETAG');
    expect(row).toContain(`${id}  2023-11-14T22:13:20Z`);
    expect(Math.max(titles.length, row.length)).toBeLessThanOrEqual(80);
  });
});

describe('stowage version', () => {
  it.each([
    [
      ['restore', 'restore', 'v1', '--comment', 'back', '--if-revision', '7'],
      'restoreVersion',
      { objectKey: 'restore', versionId: 'v1', comment: 'back', ifRevision: 7n },
    ],
    [
      ['edit', 'k', 'v1', '--comment', '', '--tag', 'a=b=c', '--tag', 'x=', '--untag', 'old'],
      'updateVersion',
      {
        version: { objectKey: 'k', versionId: 'v1', comment: '', tags: { a: 'b=c', x: '' } },
        updateMask: { paths: ['comment', 'tags.a', 'tags.x', 'tags.old'] },
      },
    ],
    [['delete', 'k', 'v1', '--yes'], 'deleteVersion', { objectKey: 'k', versionId: 'v1' }],
    [
      ['diff', 'k', 'v1', 'v2'],
      'diffVersions',
      { objectKey: 'k', versionId: 'v1', otherVersionId: 'v2' },
    ],
    [['diff', 'k', 'v1'], 'diffVersions', { versionId: 'v1', otherVersionId: '' }],
    [
      ['prune', 'k', '--keep', '3', '--before', '2024-03-01', '--dry-run'],
      'pruneVersions',
      {
        ...{ objectKey: 'k', prefix: '', keepNewest: 3, dryRun: true },
        createdBefore: { seconds: BigInt(Date.UTC(2024, 2, 1) / 1000) },
      },
    ],
  ] as const)('%j asks for it', async (args, method, expected) => {
    const asked: unknown[] = [];
    const handlers: KeepingHandlers = {
      [method]: (request: unknown) => {
        asked.push(request);
        throw new StowageError('VERSION_NOT_FOUND');
      },
    };
    const { exitCode, stderr } = await runKeeping(handlers, ['version', ...args]);
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/^stowage version: VERSION_NOT_FOUND: /);
    expect(asked).toMatchObject([expected]);
  });

  it.each([
    [['edit', 'k', 'v1'], 'nothing is to change'],
    [['edit', 'k', 'v1', '--tag', 'a'], 'must be like reviewed=true.'],
    [['edit', 'k', 'v1', '--tag', 'a=1', '--untag', 'a'], 'a is set and taken away at once'],
    [['delete', 'k', 'v1'], 'add --yes where nobody can be asked'],
    [['prune', 'k'], '--keep or --before says which'],
    [['prune', 'k', '--prefix', 'p', '--keep', '1', '-y'], 'do not go together'],
    [['prune', '--keep', '1'], 'add --yes where nobody can be asked'],
    [['prune', '--keep', '0', '-y'], 'must be a whole number from 1 to 10000.'],
    [['prune', '--before', 'yesterday', '-y'], 'must be a time such as'],
    [['prune', '--before', '2024-02-30T25:00Z', '-y'], 'must be a time such as'],
  ] as const)('is a wrong command line with %j', async (args, sentence) => {
    const { exitCode, stdout, stderr } = await runKeeping({}, ['version', ...args]);
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
    expect(stderr).toContain(sentence);
  });

  it('shows both values of what differs below its path', async () => {
    const diffVersions = () => ({
      otherVersionId: 'v2',
      differences: [
        { path: 'metadata.a\\.b', kind: DifferenceKind.ADDED, after: { kind: text('x\u202e') } },
        {
          ...{ path: 'size', kind: DifferenceKind.CHANGED },
          ...{ before: { kind: text('1') }, after: { kind: text('2') } },
        },
      ],
    });
    const { stdout } = await runKeeping({ diffVersions }, ['version', 'diff', 'k', 'v1']);
    expect(linesOf(stdout)).toEqual([
      '- v1',
      '+ v2',
      '',
      'PATH            CHANGE',
      'metadata.a\\\\.b  added',
      '    + "x\\u202e"',
      'size            changed',
      '    - "1"',
      '    + "2"',
    ]);
    const same = await runKeeping({ diffVersions: () => ({ otherVersionId: 'v2' }) }, [
      ...(['version', 'diff', 'k', 'v1'] as const),
    ]);
    expect(same).toEqual({ exitCode: 0, stdout: '', stderr: 'v1 and v2 do not differ.\n' });
  });
});

const text = (value: string) => ({ case: 'stringValue', value }) as const;

describe('stowage version prune', () => {
  /** Two commits; what was asked is noted. */
  function pruning() {
    const asked: { dryRun: boolean; requestId: string; resumeToken: string }[] = [];
    const handlers: KeepingHandlers = {
      pruneVersions(request) {
        asked.push(request);
        const isFirst = asked.filter(({ dryRun }) => !dryRun).length === 1;
        const counted = { versions: 1_200n, objects: 3n, bytes: 5_000n };
        const resumeToken = isFirst ? 'on' : '';
        const pruned = { versions: 600n, objects: 2n, bytes: 9n, more: isFirst, resumeToken };
        return request.dryRun ? counted : pruned;
      },
    };
    return { asked, handlers };
  }

  it('deletes commit after commit, each with a request id of its own', async () => {
    const { asked, handlers } = pruning();
    const line = ['version', 'prune', '--keep', '1', '--yes'] as const;
    const { exitCode, stdout } = await runKeeping(handlers, line);
    expect(exitCode).toBe(0);
    expect(stdout).toBe('1,200 versions deleted (18 B of content)\n');
    expect(asked).toHaveLength(2);
    expect(new Set(asked.map(({ requestId }) => requestId)).size).toBe(2);
    expect(asked.map(({ resumeToken }) => resumeToken)).toEqual(['', 'on']);
  });

  it('asks on a terminal and names what would go', async () => {
    const { asked, handlers } = pruning();
    const line = ['version', 'prune', '--prefix', 'p/', '--keep', '2'] as const;
    const terminal = { isTerminal: true, input: 'no\n' };
    const { exitCode, stderr } = await runKeeping(handlers, line, terminal);
    expect(exitCode).toBe(1);
    expect(stderr).toContain(
      'Delete 1,200 versions of 3 objects: of keys that begin with p/ in project default, not ' +
        'among the newest 2 of their object, for good? [y/N]',
    );
    expect(stderr).toContain('Nothing is deleted.');
    expect(asked.map(({ dryRun }) => dryRun)).toEqual([true]);
  });

  it('says what was deleted before a failure', async () => {
    const { asked, handlers } = pruning();
    const failing: KeepingHandlers = {
      pruneVersions(request, context) {
        if (asked.length === 1) throw new StowageError('PROJECT_NOT_FOUND');
        return handlers.pruneVersions?.(request, context) ?? {};
      },
    };
    const line = ['version', 'prune', 'k', '--keep', '1', '--yes'] as const;
    const { exitCode, stderr } = await runKeeping(failing, line);
    expect(exitCode).toBe(1);
    expect(stderr).toContain('600 versions were deleted before that.');
  });
});
