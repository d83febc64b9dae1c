// `stowage audit` over handlers of the test's own: what it asks for, prints and refuses.
import { describe, expect, it } from 'vitest';
import { PartitionSource, SealVerdict } from '../../src/client/index.js';
import { StowageError } from '../../src/errors.js';
import { type KeepingHandlers, runKeeping } from '../support/keeping-door.js';
import { linesOf } from '../support/object-commands.js';

const time = { seconds: 1_700_000_000n, nanos: 123_456_000 };
const day = (text: string) => ({ seconds: BigInt(Date.parse(`${text}T00:00:00Z`) / 1000) });
const event = (id: string, fields: object = {}) => ({
  ...{ id, timestamp: time, action: 'DOWNLOAD', objectKey: 'a.pdf', username: 'john' },
  ...fields,
});

describe('stowage audit', () => {
  it.each([
    [['tail'], 'listEvents', { pageSize: 20, orderBy: '', filter: { userId: '' } }],
    [
      ['tail', '-n', '5000', '--user', 'u', '--username', 'n', '--action', 'A', '--failed'],
      'listEvents',
      { pageSize: 1000, filter: { userId: 'u', username: 'n', action: 'A', success: false } },
    ],
    [
      ['tail', '--prefix', 'p/', '--version', 'v', '--correlation', 'c', '--succeeded'],
      'listEvents',
      { filter: { keyPrefix: 'p/', versionId: 'v', correlationId: 'c', success: true } },
    ],
    [
      ['tail', '--since', '2024-03-01', '--until', '2024-03-01T09:30+01:00'],
      'listEvents',
      {
        filter: {
          startTime: day('2024-03-01'),
          endTime: { seconds: day('2024-03-01').seconds + 8n * 3600n + 1800n },
        },
      },
    ],
    [['trail', 'k', '-n', '7'], 'listObjectTrail', { objectKey: 'k', pageSize: 7 }],
    [
      ['activity', 'u', '--since', '2024-03-01'],
      'getUserActivity',
      { userId: 'u', startTime: day('2024-03-01') },
    ],
    [
      ['append', 'OPEN', '--key', 'k', '--ip', '::1', '--error', 'no', '--metadata', '{"a":1}'],
      'appendEvent',
      {
        event: {
          ...{ action: 'OPEN', objectKey: 'k', ipAddress: '::1', success: false },
          ...{ errorMessage: 'no', metadata: { a: 1 } },
        },
      },
    ],
    [['partitions', '--source', 'hooks'], 'listPartitions', { source: 2 }],
    [['export', '-', '--key', 'k'], 'exportEvents', { filter: { objectKey: 'k' } }],
    [
      ['retain', '--days', '365', '--source', 'hooks', '--dry-run', '--force'],
      'applyRetention',
      { source: PartitionSource.STORAGE_HOOKS, retentionDays: 365, dryRun: true, force: true },
    ],
    [
      ['retain', '--days', '0', '--confirm', '--yes'],
      'applyRetention',
      { source: PartitionSource.STORAGE_AUDIT, retentionDays: 0, confirm: true, dryRun: false },
    ],
    [['verify', '--until', '2024-03-01'], 'verifySeals', { endTime: day('2024-03-01') }],
  ] as const)('%j asks for it', async (args, method, expected) => {
    const asked: unknown[] = [];
    const handlers: KeepingHandlers = {
      [method]: (request: unknown) => {
        asked.push(request);
        throw new StowageError('PROJECT_NOT_FOUND');
      },
    };
    const { exitCode, stderr } = await runKeeping(handlers, ['audit', ...args]);
    expect(stderr).toMatch(/^stowage audit: PROJECT_NOT_FOUND: /);
    expect(exitCode).toBe(1);
    expect(asked).toMatchObject([expected]);
  });

  it.each([
    [['tail', '--failed', '--succeeded'], 'cannot be used with option'],
    [['tail', '--key', 'a', '--prefix', 'a'], 'cannot be used with option'],
    [['tail', '-f', '--until', '1h'], '--follow goes on for ever'],
    [['tail', '-n', '10001'], 'must be a whole number from 0 to 10000.'],
    [['tail', '--since', '1 week'], 'must be a time such as'],
    [['tail', '--user', ''], 'must not be empty.'],
    [['trail'], "missing required argument 'key'"],
    [['retain', '--dry-run'], "required option '--days <count>' not specified"],
    [['retain', '--days', '0', '--yes'], '--days 0 keeps today alone: add --confirm'],
    [['retain', '--days', '30'], 'add --yes where nobody is asked'],
    [['retain', '--days', '30', '--source', 'changes'], 'Allowed choices are audit, hooks.'],
    [['append', 'A', '--metadata', '[]'], 'must be a JSON object.'],
  ] as const)('is a wrong command line with %j', async (args, sentence) => {
    const { exitCode, stdout, stderr } = await runKeeping({}, ['audit', ...args]);
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
    expect(stderr).toContain(sentence);
  });
});

describe('stowage audit tail', () => {
  const listEvents: KeepingHandlers['listEvents'] = ({ pageToken }) =>
    pageToken === ''
      ? { events: [event('3'), event('2', { success: false, errorMessage: 'no\u001b[2J' })] }
      : {};

  it('has the newest last, and below a failure its reason', async () => {
    const { exitCode, stdout, stderr } = await runKeeping({ listEvents }, ['audit', 'tail']);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    expect(linesOf(stdout)).toEqual([
      'TIME                  WHO   FROM  ACTION    RESULT  KEY',
      '2023-11-14T22:13:20Z  john        DOWNLOAD  failed  a.pdf',
      '    failed: no\\x1b[2J',
      '2023-11-14T22:13:20Z  john        DOWNLOAD  ok      a.pdf',
    ]);
  });

  it('cuts the middle of keys on a terminal', async () => {
    const objectKey = `documents/${'x'.repeat(90)}/invoice.pdf`;
    const handlers = { listEvents: () => ({ events: [event('1', { objectKey })] }) };
    const { stdout } = await runKeeping(handlers, ['audit', 'tail'], { isTerminal: true });
    expect(linesOf(stdout)[1]).toMatch(/ documents\/x+…x+\/invoice\.pdf$/);
    expect(linesOf(stdout).every(({ length }) => length <= 80)).toBe(true);
  });

  it('prints an event a line as JSON, and says that none matches', async () => {
    const json = await runKeeping({ listEvents }, ['audit', 'tail', '--json', '-n', '2']);
    expect(linesOf(json.stdout).map((line) => JSON.parse(line).id)).toEqual(['2', '3']);
    const none = await runKeeping({ listEvents: () => ({}) }, ['audit', 'tail']);
    expect(none).toEqual({ exitCode: 0, stdout: '', stderr: 'No event matches.\n' });
  });
});

describe('stowage audit trail', () => {
  it('tells of changes, versions and events in one table', async () => {
    const listObjectTrail: KeepingHandlers['listObjectTrail'] = () => ({
      entries: [
        { time, entry: { case: 'event', value: event('1') } },
        {
          time,
          entry: {
            case: 'change',
            value: { kind: 'version.updated', versionId: 'v1', changedFields: ['tags'] },
          },
        },
        { time, entry: { case: 'version', value: { versionId: 'v2', size: 2048n } } },
        {
          time,
          entry: {
            case: 'change',
            value: { kind: 'object.updated', revision: 2n, changedFields: ['size', 'etag'] },
          },
        },
      ],
      nextPageToken: 'more',
    });
    const line = ['audit', 'trail', 'a.pdf', '-n', '3'] as const;
    const { stdout, stderr } = await runKeeping({ listObjectTrail }, line);
    expect(linesOf(stdout)).toEqual([
      'TIME                         WHAT             BY    DETAIL',
      '2023-11-14T22:13:20.123456Z  object.updated         revision 2: size, etag',
      '2023-11-14T22:13:20.123456Z  version                v2, 2.0 KiB',
      '2023-11-14T22:13:20.123456Z  version.updated        v1: tags',
      '2023-11-14T22:13:20.123456Z  DOWNLOAD         john',
    ]);
    expect(stderr).toBe('These are the newest 3: -n shows more.\n');
  });
});

describe('stowage audit activity', () => {
  it('has the total last', async () => {
    const getUserActivity = () => ({
      actions: [{ action: 'DOWNLOAD', events: 1_200n, failures: 2n, lastSeen: time, bytes: 2048 }],
      ...{ events: 1_200n, failures: 2n, lastSeen: time, bytes: 2048, limited: true },
    });
    const { stdout, stderr } = await runKeeping({ getUserActivity }, ['audit', 'activity', 'u']);
    expect(linesOf(stdout)).toEqual([
      'ACTION    EVENTS  FAILED    BYTES  FIRST  LAST',
      'DOWNLOAD   1,200       2  2.0 KiB         2023-11-14T22:13:20Z',
      'total      1,200       2  2.0 KiB         2023-11-14T22:13:20Z',
    ]);
    expect(stderr).toContain('Only the newest 1,000,000 events were counted');
  });
});

describe('stowage audit partitions', () => {
  it('tells sizes, estimates and seals', async () => {
    const listPartitions: KeepingHandlers['listPartitions'] = () => ({
      partitions: [
        {
          ...{ name: 'storage_audit_2024_01', rangeStart: day('2024-01-01') },
          ...{ rangeEnd: day('2024-02-01'), sizeBytes: 2048n, rowsEstimated: 12n },
          ...{ seals: 2, sealedAt: day('2024-03-08'), sealedRows: 12n },
        },
        { name: 'storage_changes_2024_03_05', sizeBytes: 0n },
      ],
    });
    const { stdout } = await runKeeping({ listPartitions }, ['audit', 'partitions']);
    expect(linesOf(stdout)).toEqual([
      'PARTITION                   FROM        TO             SIZE  ROWS  SEALED',
      'storage_audit_2024_01       2024-01-01  2024-02-01  2.0 KiB   ~12  2024-03-08 (2 times)',
      'storage_changes_2024_03_05                              0 B',
    ]);
  });
});

describe('stowage audit verify', () => {
  const month = (partition: string, fields: object) => ({
    ...{ partition, rangeStart: day('2024-01-01'), sealNumber: 1, sealedRows: 5n, foundRows: 5n },
    ...fields,
  });

  it('names what differs, and is no success then', async () => {
    const handlers: KeepingHandlers = {
      async *verifySeals() {
        yield {};
        yield month('a', { verdict: SealVerdict.INTACT });
        yield month('b', {
          ...{ verdict: SealVerdict.DIFFERS, foundRows: 4n, rangeStart: day('2024-02-01') },
          differences: [
            { project: 'p', day: day('2024-02-03'), sealedRows: 3n, foundRows: 2n },
            { project: 'p', day: day('2024-02-04'), sealedRows: 2n, foundRows: 2n },
          ],
        });
        yield month('c', { verdict: SealVerdict.DROPPED, rangeStart: day('2024-03-01') });
      },
    };
    const { exitCode, stdout, stderr } = await runKeeping(handlers, ['audit', 'verify']);
    expect(linesOf(stdout)).toEqual([
      'MONTH    SEALED ROWS  FOUND ROWS  SEAL  VERDICT',
      '2024-01            5           5     1  intact',
      '2024-02            5           4     1  DIFFERS',
      '    project p, 2024-02-03: 3 rows were sealed, 2 are there',
      '    project p, 2024-02-04: 2 rows as sealed, but altered',
      '2024-03            5           5     1  dropped by retention',
    ]);
    expect(stderr).toBe('stowage audit: 1 month differs from what was sealed\n');
    expect(exitCode).toBe(1);
  });

  it('is a success where all is as it was sealed, or nothing is', async () => {
    const handlers: KeepingHandlers = {
      async *verifySeals() {
        yield month('a', { verdict: SealVerdict.CUT });
      },
    };
    const cut = await runKeeping(handlers, ['audit', 'verify', '--json']);
    expect(cut).toMatchObject({ exitCode: 0, stderr: '' });
    expect(JSON.parse(cut.stdout).verdict).toBe('SEAL_VERDICT_CUT');
    const none: KeepingHandlers = {
      async *verifySeals() {
        yield {};
      },
    };
    const ran = await runKeeping(none, ['audit', 'verify']);
    expect(ran).toEqual({ exitCode: 0, stdout: '', stderr: 'No month of that time is sealed.\n' });
  });
});

describe('stowage audit retain', () => {
  const summary = {
    ...{ before: day('2024-01-01'), partitionsDropped: 2, rowsDropped: 1_200n, rowsDeleted: 7n },
    bytesDropped: 2048n,
  };

  function retaining() {
    const asked: boolean[] = [];
    const handlers: KeepingHandlers = {
      async *applyRetention({ dryRun }) {
        asked.push(dryRun);
        yield {
          step: { partition: 'storage_audit_2023_11', dropped: true, rows: 9n, bytes: 1024n },
        };
        yield { step: { partition: 'storage_audit_2024_01', rows: 7n } };
        yield { summary: { ...summary, dryRun } };
      },
    };
    return { asked, handlers };
  }

  it('asks first, removes, and tells its steps and what they came to', async () => {
    const { asked, handlers } = retaining();
    const line = ['audit', 'retain', '--days', '30'] as const;
    const terminal = { isTerminal: true, input: 'yes\n' };
    const { exitCode, stdout, stderr } = await runKeeping(handlers, line, terminal);
    expect(exitCode).toBe(0);
    expect(stderr).toContain(
      'Remove audit events of all projects from before 2024-01-01T00:00:00Z: 2 partitions ' +
        '(~1,200 rows, 2.0 KiB) and 7 rows of another, for good? [y/N]',
    );
    expect(asked).toEqual([true, false]);
    expect(linesOf(stdout)).toEqual([
      'storage_audit_2023_11 dropped: ~9 rows, 1.0 KiB',
      'All audit events of all projects from before 2024-01-01T00:00:00Z are gone:',
      '2 partitions dropped (~1,200 rows, 2.0 KiB), 7 rows deleted.',
    ]);
  });

  it('removes nothing where the answer is no', async () => {
    const { asked, handlers } = retaining();
    const line = ['audit', 'retain', '--days', '30'] as const;
    const ran = await runKeeping(handlers, line, { isTerminal: true, input: '' });
    expect(ran).toMatchObject({ exitCode: 1, stdout: '' });
    expect(asked).toEqual([true]);
  });

  it('says what to do about a running export', async () => {
    const handlers: KeepingHandlers = {
      applyRetention() {
        throw new StowageError('EXPORT_IN_PROGRESS');
      },
    };
    const line = ['audit', 'retain', '--days', '30', '--yes'] as const;
    const { exitCode, stderr } = await runKeeping(handlers, line);
    expect(exitCode).toBe(1);
    expect(stderr).toContain('--force removes what it needs');
  });

  it('is no success where the stream ends without its summary', async () => {
    const handlers: KeepingHandlers = {
      async *applyRetention() {
        yield { step: { partition: 'a', rows: 1n } };
      },
    };
    const line = ['audit', 'retain', '--days', '30', '--yes', '--json'] as const;
    const { exitCode, stdout, stderr } = await runKeeping(handlers, line);
    expect(exitCode).toBe(1);
    expect(JSON.parse(stdout)).toEqual({ step: { partition: 'a', rows: '1' } });
    expect(stderr).toContain('The same command goes on with the rest.');
  });
});
