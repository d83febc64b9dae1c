// Streams of one moment through both doors: what they show, how they are resumed, and their leases.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../../src/lib/wait.js';
import { sharedCluster } from '../support/cluster.js';
import { type ExportKind, exportKinds, nameAt, plantRows, Tally } from '../support/exports.js';
import {
  type Clients,
  doorNames,
  failure,
  type OpenServer,
  openServer,
  startService,
  type TestService,
} from '../support/service.js';

/** More than a first message has. */
const PLACES = Array.from({ length: 600 }, (_, index) => index + 1);
const NAMES = PLACES.map(nameAt);
const WAIT = { timeoutMs: 20_000 };

let service: TestService;
/** Another server on the same database. */
let other: OpenServer;

beforeAll(async () => {
  service = await startService();
  const nodes = sharedCluster().nodes.map(({ host, port }) => `${host}:${port}`);
  other = await openServer(service.database, nodes);
});

afterAll(async () => {
  await other[Symbol.asyncDispose]();
  await service[Symbol.asyncDispose]();
});

/** Within a month and a half, so that partitions are passed. */
const plant = (kind: ExportKind, project: string, places: readonly number[]) =>
  plantRows({ query: service.sql }, kind, { project, places, hoursAgo: 1_000 });

/** Takes the first message with items and leaves. */
async function begin(kind: ExportKind, clients: Clients, project: string): Promise<Tally> {
  const tally = new Tally();
  for await (const message of kind.open(clients, { project })) {
    tally.add(kind, message);
    if (tally.names.length > 0) break;
  }
  return tally;
}

/** Goes on behind what came. */
async function goOn(kind: ExportKind, clients: Clients, project: string, tally: Tally) {
  const { resumeToken } = tally;
  for await (const message of kind.open(clients, { project, resumeToken })) {
    tally.add(kind, message);
  }
  return tally;
}

const leases = (project: string) =>
  service.sql<{ running: boolean }>(
    'select expires_at > now() as running from export_leases where project_id = $1',
    [project],
  );

const untilEnded = (project: string) =>
  until(async () => (await leases(project)).every(({ running }) => !running), {
    ...WAIT,
    what: 'the lease has ended',
  });

async function newProject(project: string): Promise<string> {
  await service.doors.gRPC.projects.createProject({ project: { project } });
  return project;
}

describe.each(doorNames)('through %s', (door) => {
  describe.each(exportKinds)('$name', (kind) => {
    const clients = () => service.doors[door];
    const projectOf = (what: string) =>
      newProject(`${door}-${kind.name}-${what}`.toLowerCase().replaceAll(' ', '-'));

    it('shows what was committed at its beginning, and nothing that came later', async () => {
      const project = await projectOf('moment');
      // Begun before what is planted and committed behind it, as before what comes in between.
      await plant(kind, project, []);
      const early = await service.database.connect();
      await early.query('begin');
      await early.query(kind.plant, [project, [300.5], 1_000, 1]);
      await plant(kind, project, PLACES);
      const tally = await begin(kind, clients(), project);
      expect(tally.names.length).toBeLessThan(PLACES.length);
      await plant(kind, project, [400.5, 600.5]);
      await early.query('commit');
      await early.end();
      // Whoever serves the rest has them.
      await service.waitUntilCaughtUp();
      await goOn(kind, clients(), project, tally);
      tally.expectWhole(NAMES);
      const again = await goOn(kind, clients(), project, new Tally());
      expect(again.names).toHaveLength(PLACES.length + 3);
    });

    it('goes on at another server, of which it was not begun', async () => {
      const project = await projectOf('servers');
      await plant(kind, project, PLACES);
      const tally = await begin(kind, clients(), project);
      await goOn(kind, other.doors[door], project, tally);
      tally.expectWhole(NAMES);
    });

    it('has a lease, goes on when that has expired, and gives it up at its end', async () => {
      const project = await projectOf('lease');
      await plant(kind, project, PLACES);
      const tally = await begin(kind, clients(), project);
      expect(await leases(project)).toHaveLength(1);
      // As if it had been left for long: what is there still is given all the same.
      await service.sql(
        `update export_leases set expires_at = now() - interval '1 hour' where project_id = $1`,
        [project],
      );
      const { resumeToken } = tally;
      await goOn(kind, clients(), project, tally);
      tally.expectWhole(NAMES);
      await untilEnded(project);
      // Its last message may have been lost.
      const rest = new Tally();
      rest.resumeToken = resumeToken;
      await goOn(kind, clients(), project, rest);
      const { token: _, ...summary } = tally.summary ?? {};
      expect(rest.summary).toMatchObject(summary);
      expect(await leases(project)).toHaveLength(1);
    });

    it('refuses to go on with other arguments, altered or forgotten', async () => {
      const project = await projectOf('mismatch');
      await plant(kind, project, PLACES);
      const { resumeToken } = await begin(kind, clients(), project);
      const all = async (messages: AsyncIterable<unknown>) => {
        for await (const _ of messages);
      };
      const foreign = await failure(all(kind.openOther(clients(), { project, resumeToken })));
      expect(foreign.reason).toBe('RESUME_TOKEN_MISMATCH');
      // Not at its end, where some bits stand for nothing.
      const middle = resumeToken[20] === 'A' ? 'B' : 'A';
      const altered = `${resumeToken.slice(0, 20)}${middle}${resumeToken.slice(21)}`;
      const forged = await failure(all(kind.open(clients(), { project, resumeToken: altered })));
      expect(forged.reason).toBe('RESUME_TOKEN_MISMATCH');
      await service.sql('delete from export_leases where project_id = $1', [project]);
      await service.waitUntilCaughtUp();
      const forgotten = await failure(all(kind.open(clients(), { project, resumeToken })));
      expect(forgotten.reason).toBe('SNAPSHOT_EXPIRED');
    });

    const fates = [
      ['is being dropped', 'dropped_at = now()'],
      ['has lost rows', `deleted_before = now(), deleted_at = now()`],
      ['was made anew', `made_at = now()`],
    ] as const;
    // Versions are in no months.
    it.each(kind.table === 'storage_versions' ? [] : fates)(
      'expires where a month of its range %s',
      async (what, change) => {
        const project = await projectOf(what);
        await plant(kind, project, PLACES);
        const tally = await begin(kind, clients(), project);
        const write = (assignments: string) =>
          service.sql(
            `update storage_partitions set ${assignments}
           where source = $1 and range_start <= now() and range_end > now()`,
            [kind.table],
          );
        await write(change);
        await service.waitUntilCaughtUp();
        const expired = await failure(goOn(kind, clients(), project, tally));
        expect(expired.reason).toBe('SNAPSHOT_EXPIRED');
        // What begins now shows what there is now.
        const again = await goOn(kind, clients(), project, new Tally());
        again.expectWhole(NAMES);
        await write('dropped_at = null, deleted_before = null, deleted_at = null');
      },
    );

    // Which nodes that are behind may not have heard of: nobody waits for them here.
    it('sums up nothing where there is nothing, and makes no lease without a project', async () => {
      const project = await projectOf('empty');
      const tally = await goOn(kind, clients(), project, new Tally());
      tally.expectWhole([]);
      await untilEnded(project);
      const missing = await failure(goOn(kind, clients(), 'missing', new Tally()));
      expect(missing.reason).toBe('PROJECT_NOT_FOUND');
      expect(await leases('missing')).toEqual([]);
    });
  });
});

describe.each(doorNames)('ExportEvents through %s', (door) => {
  const audit = () => service.doors[door].audit;
  const ago = (hours: number) => ({
    seconds: BigInt(Math.floor(Date.now() / 3_600_000) - hours) * 3600n,
    nanos: 0,
  });
  let project: string;

  beforeAll(async () => {
    project = await newProject(`filters-${door.toLowerCase()}`);
    const [audited] = exportKinds;
    if (audited === undefined) throw new Error('there are kinds');
    // The months.
    await plant(audited, project, []);
    await service.sql(
      `insert into storage_audit (project_id, timestamp, id, user_id, username, action, object_key,
         version_id, success, correlation_id, ip_address, metadata)
       select $1, date_trunc('hour', now()) - n * interval '1 hour',
         ('00000000-0000-0000-0000-' || lpad(n::text, 12, '0'))::uuid, 'u' || n % 3, 'Å' || n % 4,
         'A' || n % 5, 'k/' || n % 7 || '/x', 'v' || n % 2, n % 2 = 0, 'c' || n / 10,
         '10.0.0.1', jsonb_build_object('part', n % 6)
       from generate_series(0, 799) as n`,
      [project],
    );
  });

  const all = Array.from({ length: 800 }, (_, n) => 799 - n);
  const filters: readonly (readonly [string, object, (n: number) => boolean])[] = [
    ['a user', { userId: 'u1' }, (n) => n % 3 === 1],
    ['a name', { username: 'Å2' }, (n) => n % 4 === 2],
    ['an action', { action: 'A3' }, (n) => n % 5 === 3],
    ['a key', { objectKey: 'k/4/x' }, (n) => n % 7 === 4],
    ['a prefix', { keyPrefix: 'k/5' }, (n) => n % 7 === 5],
    ['a version and a failure', { versionId: 'v1', success: false }, (n) => n % 2 === 1],
    ['a correlation id', { correlationId: 'c7' }, (n) => n >= 70 && n < 80],
    ['metadata of a user', { userId: 'u0', metadataFilter: { part: 3 } }, (n) => n % 6 === 3],
    ['an action and a key', { action: 'A0', objectKey: 'k/0/x' }, (n) => n % 35 === 0],
    ['a range', { startTime: ago(700), endTime: ago(300) }, (n) => n <= 700 && n > 300],
    ['an empty range', { startTime: ago(30), endTime: ago(30) }, () => false],
  ];

  it.each(filters)('gives the events of %s, in the order of time', async (_, filter, matches) => {
    // What is done through the service is audited too, and has no address of ours.
    const found: number[] = [];
    for await (const { events } of audit().exportEvents({ project, filter })) {
      const ours = events.filter(({ id }) => id.startsWith('00000000-'));
      found.push(...ours.map(({ id }) => Number(id.slice(24))));
      for (const { ipAddress } of ours) expect(ipAddress).toBe('10.0.0.1');
    }
    expect(found).toEqual(all.filter(matches));
  });

  it('refuses a filter that asks for too much', async () => {
    const collect = async (filter: object) => {
      for await (const _ of audit().exportEvents({ project, filter }));
    };
    for (const filter of [
      { metadataFilter: { part: 3 } },
      { objectKey: 'k', keyPrefix: 'k' },
      { startTime: ago(1), endTime: ago(2) },
    ]) {
      expect((await failure(collect(filter))).reason).toBe('INVALID_REQUEST');
    }
  });

  it('goes on where what has gone is before its range', async () => {
    const filter = { startTime: ago(500) };
    let resumeToken = '';
    let items = 0;
    for await (const message of audit().exportEvents({ project, filter })) {
      ({ resumeToken } = message);
      items += message.events.length;
      if (items > 0) break;
    }
    await service.sql(
      `update storage_partitions
       set deleted_at = now(), deleted_before = now() - interval '600 hours'
       where source = 'storage_audit'`,
    );
    await service.waitUntilCaughtUp();
    let whole: bigint | undefined;
    for await (const message of audit().exportEvents({ project, filter, resumeToken })) {
      items += message.events.length;
      whole = message.summary?.items;
    }
    expect(items).toBeGreaterThanOrEqual(501);
    expect(whole).toBe(BigInt(items));
  });
});
