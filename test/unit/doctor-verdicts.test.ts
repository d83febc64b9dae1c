import { describe, expect, it } from 'vitest';
import type { DatabaseLogin } from '../../src/config.js';
import {
  clusterVerdict,
  primaryVerdict,
  standbysVerdict,
} from '../../src/postgres/diagnosis/cluster-verdicts.js';
import { connectionRoomVerdict } from '../../src/postgres/diagnosis/connections-verdict.js';
import { collationVerdict, ctypeVerdict } from '../../src/postgres/diagnosis/database-verdicts.js';
import { diskVerdict, slotsVerdict } from '../../src/postgres/diagnosis/disk.js';
import type { NodeFacts } from '../../src/postgres/diagnosis/facts.js';
import { bytesText, sqlName } from '../../src/postgres/diagnosis/finding.js';
import { poolerVerdict } from '../../src/postgres/diagnosis/pooler-verdict.js';
import {
  extensionVerdict,
  roleVerdict,
  schemaVerdict,
  versionVerdict,
} from '../../src/postgres/diagnosis/program-verdicts.js';
import {
  clockVerdict,
  durabilityVerdict,
  writesVerdict,
} from '../../src/postgres/diagnosis/server-verdicts.js';
import { type Following, replayVerdict } from '../../src/postgres/diagnosis/standby-verdict.js';

const login: DatabaseLogin = {
  nodes: [{ host: 'db1', port: 5432 }],
  database: 'stowage',
  user: 'stowage',
  password: 'hunter2',
  tls: false,
  connectTimeoutMs: 3000,
};
const node = { host: 'db1', port: 5432 };

const facts: NodeFacts = {
  role: 'primary',
  version: '18.4',
  versionNumber: 180_004,
  systemIdentifier: 1n,
  timeline: 1,
  lsn: 100n,
  connections: 1,
  database: {
    encoding: 'UTF8',
    ctype: 'C.UTF-8',
    provider: 'b',
    locale: 'C.UTF-8',
    recorded_version: '1',
    actual_version: '1',
    connections_max: -1,
    bytes: 4096n,
  },
  login: { is_superuser: false, bypasses_rls: false, connections_max: -1, is_service: true },
  settings: new Map(),
  extension: 'installed',
  replication: { pause_state: null, receivers: 0, replayed_at: null, senders: 0 },
  idleSlots: [],
  applied: [],
  clock: { aheadMs: 0, roundTripMs: 1 },
};
const known = (host: string, changes: Partial<NodeFacts>) => ({
  node: { host, port: 5432 },
  facts: { ...facts, ...changes },
});

const gib = 1024 ** 3;

describe('the checks of a node', () => {
  it.each([
    [140_010, 'fail'],
    [150_000, 'ok'],
    [180_004, 'ok'],
    [190_000, 'warn'],
  ])('judge the version %s: %s', (versionNumber, verdict) => {
    expect(versionVerdict({ ...facts, versionNumber }).verdict).toBe(verdict);
  });

  it.each([
    [{ is_service: null }, 'fail', /no group stowage_service/],
    [{ is_service: false }, 'fail', /no member/],
    [{ is_superuser: true }, 'warn', /superuser/],
    [{ bypasses_rls: true }, 'warn', /bypasses/],
    [{}, 'ok', /is a member/],
  ])('judge the role %o: %s', (changes, verdict, seen) => {
    const finding = roleVerdict({ ...facts, login: { ...facts.login, ...changes } }, login);
    expect(finding).toMatchObject({ verdict, seen: expect.stringMatching(seen) });
  });

  it('bear a newer schema that does not break', () => {
    const applied = ['0001_a-b', '0002_c-d'];
    const judge = (program: string[]) => schemaVerdict({ applied }, program, node, login);
    expect(judge(applied).verdict).toBe('ok');
    expect(judge(['0001_a-b'])).toMatchObject({
      verdict: 'ok',
      seen: expect.stringContaining('0002_c-d'),
    });
    expect(judge(['0001_x-y']).verdict).toBe('fail');
  });

  it('tell what is missing of pg_trgm', () => {
    expect(extensionVerdict({ ...facts, extension: 'available' }).verdict).toBe('ok');
    expect(extensionVerdict({ ...facts, extension: 'absent' })).toMatchObject({
      verdict: 'fail',
      remedy: { run: ['apt install postgresql-contrib'] },
    });
  });

  it.each([
    ['b', 'C', 'en_US.UTF-8', 'warn'],
    ['c', null, 'C', 'warn'],
    ['c', null, 'POSIX', 'warn'],
    ['c', null, 'de_DE.UTF-8', 'ok'],
    ['i', 'de', 'C', 'warn'],
    ['b', 'C.UTF-8', 'C', 'warn'],
    ['b', 'C.UTF-8', 'C.UTF-8', 'ok'],
    ['i', 'de', 'de_DE.UTF-8', 'ok'],
  ])(
    'judge the ctype: provider %s, locale %s, ctype %s: %s',
    (provider, locale, ctype, verdict) => {
      const database = { ...facts.database, provider, locale, ctype };
      expect(ctypeVerdict(database, 'd').verdict).toBe(verdict);
    },
  );

  it('warn of a collation that has changed', () => {
    const moved = { ...facts.database, recorded_version: '2.31', actual_version: '2.36' };
    expect(collationVerdict(moved, 'My Db')).toMatchObject({
      verdict: 'warn',
      remedy: {
        run: ['reindex database "My Db";', 'alter database "My Db" refresh collation version;'],
      },
    });
    expect(collationVerdict({ ...moved, recorded_version: null }, 'd').verdict).toBe('ok');
  });

  it.each([
    [{ used: 1, available: 97, roleMax: -1, databaseMax: -1 }, 'ok'],
    [{ used: 1, available: 10, roleMax: -1, databaseMax: -1 }, 'warn'],
    [{ used: 1, available: 97, roleMax: 5, databaseMax: -1 }, 'warn'],
    [{ used: 1, available: 97, roleMax: -1, databaseMax: 5 }, 'warn'],
    [{ used: 90, available: 97, roleMax: -1, databaseMax: -1 }, 'warn'],
  ])('judge the room for connections %o: %s', (room, verdict) => {
    expect(connectionRoomVerdict(room, login, 20).verdict).toBe(verdict);
  });

  it.each([
    ['configuration file', ['alter system set fsync = on;', 'select pg_reload_conf();']],
    ['database', ['alter database stowage reset fsync;']],
    ['user', ['alter role stowage reset fsync;']],
    ['database user', ['alter role stowage in database stowage reset fsync;']],
    ['command line', ['postgres -c fsync=on']],
  ])('turn a setting back where it was made: %s', (source, run) => {
    const settings = new Map([['fsync', { setting: 'off', source }]]);
    expect(durabilityVerdict(settings, login)).toMatchObject({ verdict: 'fail', remedy: { run } });
  });

  it('warn of torn pages, and of commits that a crash takes back', () => {
    for (const name of ['full_page_writes', 'synchronous_commit']) {
      const settings = new Map([[name, { setting: 'off', source: 'user' }]]);
      expect(durabilityVerdict(settings, login)).toMatchObject({
        verdict: 'warn',
        seen: `${name} is off`,
      });
    }
    expect(writesVerdict(new Map(), login).verdict).toBe('ok');
  });

  it.each([
    [0, 1, 'ok', 'the same time as this machine'],
    [-400, 10, 'ok', '400 ms behind this machine'],
    [1400, 1000, 'ok', '1400 ms ahead of this machine'],
    [2500, 10, 'warn', "the server's clock is 2.5 s ahead of this machine's"],
    [-61_000, 10, 'warn', "the server's clock is 61.0 s behind this machine's"],
  ])('judge a clock %s ms ahead, asked in %s ms: %s', (aheadMs, roundTripMs, verdict, seen) => {
    expect(clockVerdict({ aheadMs, roundTripMs })).toMatchObject({ verdict, seen });
  });

  it.each([
    [{ free: 50 * gib, size: 100 * gib }, 'ok'],
    [{ free: 5 * gib, size: 100 * gib }, 'warn'],
    [{ free: gib / 8, size: gib }, 'fail'],
    [undefined, 'skipped'],
  ])('judge the disk %o: %s', (room, verdict) => {
    expect(diskVerdict(node, facts, room, login).verdict).toBe(verdict);
  });

  it('say who may look at the disk', () => {
    const here = { host: 'localhost', port: 1 };
    expect(diskVerdict(here, facts, undefined, login).remedy?.run).toEqual([
      'grant pg_read_all_settings to stowage;',
    ]);
    expect(diskVerdict(node, facts, undefined, login).remedy?.run).toEqual(['df -h']);
  });

  it('warn of an idle slot that may fill the disk', () => {
    const idle = (bytes: bigint | null, kept: string) =>
      slotsVerdict({
        ...facts,
        idleSlots: [{ slot: 'gone', bytes }],
        settings: new Map([['max_slot_wal_keep_size', { setting: kept, source: 'default' }]]),
      });
    expect(idle(BigInt(2 * gib), '-1')).toMatchObject({
      verdict: 'warn',
      remedy: { run: ["select pg_drop_replication_slot('gone');"] },
    });
    expect(idle(BigInt(2 * gib), '1024').verdict).toBe('ok');
    expect(idle(1n, '-1').verdict).toBe('ok');
    expect(slotsVerdict(facts).verdict).toBe('ok');
  });
});

describe('the checks of replication', () => {
  const following: Following = {
    primaryLsn: 100n,
    replayedLsn: 100n,
    replication: { pause_state: 'not paused', receivers: 1, replayed_at: null, senders: 0 },
    nowMs: 60_000,
  };
  const at = (seconds: bigint) => ({
    ...following.replication,
    replayed_at: { seconds, nanos: 0 },
  });
  const far = 100n + BigInt(gib);

  it.each([
    [{}, 'ok', /has all/],
    [{ replayedLsn: 900n }, 'ok', /has all/],
    [{ primaryLsn: 300n, replication: at(59n) }, 'ok', /200 B behind, its last .* 1\.0 s old/],
    [{ primaryLsn: 300n, replication: at(9n) }, 'warn', /51\.0 s old/],
    [{ primaryLsn: far }, 'warn', /1\.0 GiB behind/],
    [{ primaryLsn: undefined }, 'skipped', /no primary answered/],
    [
      { replication: { ...following.replication, receivers: 0 } },
      'fail',
      /0 B behind and receives nothing/,
    ],
    [
      { replication: { ...following.replication, pause_state: 'paused' } },
      'fail',
      /replay is paused/,
    ],
  ])('judge a standby %o: %s', (changes, verdict, seen) => {
    expect(replayVerdict({ ...following, ...changes })).toMatchObject({
      verdict,
      seen: expect.stringMatching(seen),
    });
  });

  it('tell nodes of two clusters', () => {
    const nodes = [known('a', {}), known('b', { systemIdentifier: 2n }), known('c', {})];
    expect(clusterVerdict(nodes)).toMatchObject({
      verdict: 'fail',
      seen: 'the nodes are of 2 clusters: a:5432, c:5432 (1); b:5432 (2)',
    });
    expect(clusterVerdict(nodes.slice(0, 1)).verdict).toBe('ok');
  });

  it('tell no primary, one, and several', () => {
    const standby = known('b', { role: 'standby', timeline: undefined });
    expect(primaryVerdict([known('a', {}), standby], 2).verdict).toBe('ok');
    expect(primaryVerdict([standby], 3)).toMatchObject({
      verdict: 'fail',
      remedy: {
        say: expect.stringMatching(/^Bring the nodes back/),
        run: ['select pg_promote();'],
      },
    });
    const promoted = known('b', { timeline: 2 });
    expect(primaryVerdict([known('a', {}), promoted], 2).seen).toBe(
      '2 nodes are primaries at once: b:5432 on timeline 2, a:5432 on timeline 1',
    );
  });

  it('tell standbys that are not named', () => {
    const primary = known('a', { replication: { ...facts.replication, senders: 2 } });
    const standby = known('b', { role: 'standby' });
    expect(standbysVerdict([primary, standby], 2, login).verdict).toBe('warn');
    expect(standbysVerdict([known('a', {}), standby], 2, login).verdict).toBe('ok');
    expect(standbysVerdict([primary], 2, login).seen).toBe('no standby answered');
  });
});

describe('the words of a remedy', () => {
  it('quote what is no plain name', () => {
    expect(['stowage', 'My Db', 'a"b', 'Ü'].map(sqlName)).toEqual([
      'stowage',
      '"My Db"',
      '"a""b"',
      '"Ü"',
    ]);
  });

  it('count bytes in units that people read', () => {
    expect([0, 1023, 1024, 15 * 1024, 1.5 * gib].map(bytesText)).toEqual([
      '0 B',
      '1023 B',
      '1.0 KiB',
      '15 KiB',
      '1.5 GiB',
    ]);
  });
});

describe('the check of the pooler', () => {
  const node = { host: 'db1', port: 6432 };

  it.each([
    ['transaction', true, 'ok', /as the settings say/],
    ['transaction', false, 'warn', /PostgreSQL itself answers at db1:6432/],
    ['none', true, 'warn', /a pooler answers at db1:6432, and the settings do not say so/],
  ] as const)(
    'compares what is said (%s) with what is there (%s)',
    (pooler, isThere, verdict, seen) => {
      expect(poolerVerdict(node, { pooler }, isThere)).toMatchObject({
        check: 'pooler',
        verdict,
        seen: expect.stringMatching(seen),
      });
    },
  );

  it('says nothing where none is there and none is meant', () => {
    expect(poolerVerdict(node, { pooler: 'none' }, false)).toBeUndefined();
  });
});
