// Streams of one moment through both doors: what they show, how they are resumed, and their leases.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../../src/lib/wait.js';
import { sharedCluster } from '../support/cluster.js';
import { type ExportKind, exportKinds, nameAt, plantRows, Tally } from '../support/exports.js';
import {
  type Clients,
  doorNames,
  failure,
  openServer,
  startService,
  type TestService,
} from '../support/service.js';

/** More than a first message has. */
const PLACES = Array.from({ length: 600 }, (_, index) => index + 1);
const NAMES = PLACES.map(nameAt);
const WAIT = { timeoutMs: 20_000 };

let service: TestService;

beforeAll(async () => {
  service = await startService();
});

afterAll(async () => {
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
      const nodes = sharedCluster().nodes.map(({ host, port }) => `${host}:${port}`);
      await using other = await openServer(service.database, nodes);
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
      const other = await failure(all(kind.openOther(clients(), { project, resumeToken })));
      expect(other.reason).toBe('RESUME_TOKEN_MISMATCH');
      const altered = `${resumeToken.slice(0, -2)}AA`;
      const forged = await failure(all(kind.open(clients(), { project, resumeToken: altered })));
      expect(forged.reason).toBe('RESUME_TOKEN_MISMATCH');
      await service.sql('delete from export_leases where project_id = $1', [project]);
      await service.waitUntilCaughtUp();
      const forgotten = await failure(all(kind.open(clients(), { project, resumeToken })));
      expect(forgotten.reason).toBe('SNAPSHOT_EXPIRED');
    });

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
