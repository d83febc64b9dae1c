// How `stowage admin` shows fixed answers: as docs/cli.md has them on a terminal of 80 columns, and
// at their edges.
import { create } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { activityShown } from '../../src/cli/admin/activity.js';
import { databaseShown } from '../../src/cli/admin/database.js';
import { healthShown } from '../../src/cli/admin/health.js';
import { indexesShown } from '../../src/cli/admin/indexes.js';
import { jobsShown } from '../../src/cli/admin/jobs.js';
import { replicationShown } from '../../src/cli/admin/replication.js';
import { settingsShown } from '../../src/cli/admin/settings.js';
import { statementsShown } from '../../src/cli/admin/statements.js';
import { tablesShown } from '../../src/cli/admin/tables.js';
import type { Shown, View } from '../../src/cli/admin/view.js';
import { displayWidth } from '../../src/cli/display-width.js';
import { broken } from '../../src/cli/fit.js';
import {
  GetActivityResponseSchema,
  GetDatabaseStatisticsResponseSchema,
  GetIndexStatisticsResponseSchema,
  GetReplicationStatusResponseSchema,
  GetRiskySettingsResponseSchema,
  GetStatementStatisticsResponseSchema,
  GetTableStatisticsResponseSchema,
  HealthReportSchema,
  HealthStatus,
  ListMaintenanceJobsResponseSchema,
  MaintenanceState,
  NodeState,
} from '../../src/client/index.js';
import * as answers from '../support/admin-answers.js';
import { blocksOf } from '../support/markdown-blocks.js';

const view = (width = Number.POSITIVE_INFINITY): View => ({
  width,
  isColored: false,
  now: answers.answeredAt,
});

const used = { unused: false };

/** Each report of the page's answers, by its name. */
const reports: Readonly<Record<string, (at: View) => Shown>> = {
  health: (at) => healthShown(create(HealthReportSchema, answers.health.report ?? {}), at),
  database: (at) =>
    databaseShown(create(GetDatabaseStatisticsResponseSchema, answers.database), at),
  tables: (at) => tablesShown(create(GetTableStatisticsResponseSchema, answers.tables), at),
  indexes: (at) =>
    indexesShown(create(GetIndexStatisticsResponseSchema, answers.indexes), at, used),
  activity: (at) => activityShown(create(GetActivityResponseSchema, answers.activity), at, {}),
  statements: (at) =>
    statementsShown(create(GetStatementStatisticsResponseSchema, answers.statements), at),
  replication: (at) =>
    replicationShown(create(GetReplicationStatusResponseSchema, answers.replication), at),
  settings: (at) => settingsShown(create(GetRiskySettingsResponseSchema, answers.settings), at),
  jobs: (at) => jobsShown(create(ListMaintenanceJobsResponseSchema, answers.jobs), at),
};

/** Both outputs, one behind the other as a terminal has them. */
function seen({ text, notes = [] }: Shown, width: number): string {
  const lines = notes.flatMap((note) => broken(note, width));
  return text + lines.map((line) => `${line}\n`).join('');
}

const example = /^\$ stowage admin (\S+).*\n/;

describe('docs/cli.md', () => {
  const examples = blocksOf('docs/cli.md').flatMap(({ text }) => {
    const [line = '', name = ''] = example.exec(text) ?? [];
    return name === '' ? [] : [{ name, text: text.slice(line.length) }];
  });

  it('shows each report of `stowage admin`', () => {
    expect(examples.map(({ name }) => name).sort()).toEqual(Object.keys(reports).sort());
  });

  it.each(examples)('shows $name as it is printed', ({ name, text }) => {
    const report = reports[name];
    expect(report && seen(report(view(80)), 80)).toBe(text);
  });
});

const widths = [64, 80, 100, 132];

describe('a report of `stowage admin`', () => {
  it.each(Object.entries(reports))('%s fits terminals that are not very narrow', (_, report) => {
    for (const width of widths) {
      const longest = Math.max(...report(view(width)).text.split('\n').map(displayWidth));
      expect(longest).toBeLessThanOrEqual(width);
    }
  });

  it.each(Object.entries(reports))('%s is whole where there is no terminal', (_, report) => {
    expect(report(view()).text).not.toMatch(/[^ ]…/);
  });

  it('keeps dead rows, bloat and use in sight on a terminal of 50 columns', () => {
    const titles = (name: string) => reports[name]?.(view(50)).text.split('\n')[0];
    expect(titles('tables')).toMatch(/ SIZE .*DEAD +BLOAT$/);
    expect(titles('indexes')).toMatch(/ SIZE +BLOAT .*USE$/);
  });
});

describe('an empty report of `stowage admin`', () => {
  const node = 'db1:5432';
  const notes = ({ text, notes: said }: Shown) => {
    expect(text).toBe('');
    return said;
  };

  it('says so in a sentence', () => {
    const tables = create(GetTableStatisticsResponseSchema, { node });
    expect(notes(tablesShown(tables, view()))).toEqual(['There are no tables on db1:5432.']);
    const indexes = create(GetIndexStatisticsResponseSchema, { node, nodes: [node, 'db2:5432'] });
    expect(notes(indexesShown(indexes, view(), { unused: true }))).toEqual([
      'Every index is used, or keeps rows unique on db1:5432 and db2:5432.',
    ]);
    const sessions = create(GetActivityResponseSchema, { node });
    expect(notes(activityShown(sessions, view(), { minDuration: 5_000 }))).toEqual([
      'Nothing on db1:5432 has taken 5.0 s, and nobody waits for another.',
    ]);
    const advice = 'load it with shared_preload_libraries.';
    const hidden = create(GetStatementStatisticsResponseSchema, { node, advice });
    expect(notes(statementsShown(hidden, view()))).toEqual([`db1:5432: ${advice}`]);
    const settings = create(GetRiskySettingsResponseSchema, { silentNodes: ['db2', 'db3'] });
    expect(notes(settingsShown(settings, view()))).toEqual([
      'No setting of a node that answered is a risk.',
      'db2 and db3 did not answer.',
    ]);
    const jobs = create(ListMaintenanceJobsResponseSchema);
    expect(notes(jobsShown(jobs, view()))).toEqual(['This server has run no maintenance job.']);
    const links = replicationShown(create(GetReplicationStatusResponseSchema), view());
    expect(links.text).toBe('Commits wait for no standby.\n');
    expect(links.notes).toEqual(['Nobody replicates from a node that answered.']);
  });

  it('has what is known of a database that was never read', () => {
    const { text } = databaseShown(create(GetDatabaseStatisticsResponseSchema, { node }), view());
    expect(text).toMatch(/^sessions +0 of 0$/m);
    expect(text).toMatch(/^found in memory +nothing was read yet$/m);
    expect(text).toMatch(/^counted +since they began; nobody has reset them$/m);
  });
});

describe('what the service may not see', () => {
  it('is said of sessions, whose columns are left out where nothing is in them', () => {
    const sessions = [{ pid: 7, user: 'postgres' }];
    const { text, notes } = activityShown(
      create(GetActivityResponseSchema, { sessions, total: 1 }),
      view(),
      {},
    );
    expect(text).toBe('PID  STATE   SESSION\n  7  hidden  postgres\n');
    expect(notes).toEqual([
      'The service may not see what 1 session does: docs/operations.md says how to let it.',
    ]);
  });

  it('is said of receivers', () => {
    const links = [{ node: 'n', receiver: 'b', slot: 's', slotRetainedBytes: 0n }];
    const shown = replicationShown(create(GetReplicationStatusResponseSchema, { links }), view());
    expect(shown.text.split('\n').slice(2)).toEqual([
      'NODE  RECEIVER  SLOT  KEPT',
      'n     b         s      0 B',
      '',
    ]);
    expect(shown.notes).toEqual([
      'The service may not see how far receivers are: docs/operations.md says how to let it.',
    ]);
  });
});

describe('a session that is idle', () => {
  it('has no statement below it', () => {
    const sessions = [{ pid: 7, state: 'idle', wait: 'Client: ClientRead', statement: 'x' }];
    const answer = create(GetActivityResponseSchema, { sessions, total: 1 });
    const { text, notes } = activityShown(answer, view(), {});
    expect(text.split('\n')).toHaveLength(3);
    expect(notes).toEqual([]);
  });
});

describe('a remark of `stowage admin`', () => {
  const many = Array.from({ length: 7 }, (_, index) => ({
    ...{ table: `t${index}`, deadRows: 20_000n, liveRows: 1n },
  }));

  it('is made of much only, and of five tables at most', () => {
    const at = (fields: object[]) =>
      tablesShown(create(GetTableStatisticsResponseSchema, { tables: fields }), view()).text;
    expect(at(many).match(/`stowage admin vacuum t\d`/g)).toHaveLength(5);
    expect(at(many)).toContain('… and 2 more like these.\n');
    const little = { table: 't', tableBytes: 8_192n, bloatBytes: 8_000n, deadRows: 9n };
    expect(at([little]).split('\n')).toHaveLength(3);
  });

  it('has commands that a shell takes for no more than their name', () => {
    const indexes = ['a; b', 'c', 'c_ccold2'].map((index) => ({ index, valid: false }));
    const { text } = indexesShown(
      create(GetIndexStatisticsResponseSchema, { indexes }),
      view(),
      used,
    );
    expect(text.match(/`.*?`.*(?=\.\n)/g)).toEqual([
      "`stowage admin reindex 'a; b'` builds it anew",
      '`stowage admin reindex c` builds it anew',
      '`stowage admin reindex c` drops what is left',
    ]);
  });

  it('names a slot whose log is lost, and none that is read', () => {
    const slot = { node: 'n', slot: 's', receiver: 'r', slotWalStatus: 'reserved' };
    const links = [slot, { ...slot, slot: 'gone', slotWalStatus: 'lost' }];
    const { text } = replicationShown(
      create(GetReplicationStatusResponseSchema, { links }),
      view(),
    );
    expect(text.match(/^slot .*/gm)).toEqual([
      'slot gone of n has lost log that its receiver needs: build the receiver anew.',
    ]);
  });
});

describe('the page of health', () => {
  const page = (fields: object, isColored = false) =>
    healthShown(create(HealthReportSchema, fields), { ...view(), isColored }).text;

  it('begins with what is served', () => {
    expect(page({ status: HealthStatus.OK, canRead: true, canWrite: true })).toBe(
      'ok: reads and writes are served\n',
    );
    expect(page({ status: HealthStatus.DEGRADED, canRead: true })).toBe(
      'degraded: reads are served, writes are not\n',
    );
    expect(page({ status: HealthStatus.DOWN })).toBe('DOWN: neither reads nor writes are served\n');
    expect(page({ status: 9 as HealthStatus })).toMatch(/^unknown: /);
  });

  it('is coloured where the terminal has colours', () => {
    const [head] = page({ status: HealthStatus.DOWN }, true).split(':');
    expect(head).toBe('\u001b[31mDOWN\u001b[0m');
  });

  it('leaves out what a node does not tell', () => {
    const nodes = [{ node: { name: 'db3:5432', state: NodeState.UNREACHABLE } }];
    expect(page({ nodes }).split('\n').at(-2)).toBe('db3:5432  unreachable');
  });
});

describe('a job in the table', () => {
  it('that was cancelled or is of a newer kind is shown as well', () => {
    const job = { jobId: 'j', target: 't', kind: 9, startedAt: answers.ago(1) };
    const shown = create(ListMaintenanceJobsResponseSchema, {
      jobs: [{ ...job, state: MaintenanceState.CANCELLED, endedAt: answers.ago(0) }],
    });
    expect(jobsShown(shown, view()).text).toMatch(/^j +cancelled +1\.0 s +1 s ago\n +9 t\n/m);
  });
});
