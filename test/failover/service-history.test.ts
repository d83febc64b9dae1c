/** A server whose nodes have parted: what is lost, and who has it still, is shown to nobody. */
import { beforeAll, describe, expect, it } from 'vitest';
import { FenceReason, NodeState } from '../../src/client/index.js';
import { until } from '../../src/lib/wait.js';
import { createTestDatabase } from '../support/database.js';
import { useFailingService } from '../support/failing-service.js';
import { objectOf } from '../support/load.js';
import { startTestRouter } from '../support/router.js';
import { failure, openServer } from '../support/service.js';
import type { Told } from '../support/transitions.js';

const test = useFailingService();
const { nodes } = test;

const eventual = { demand: { case: 'eventual', value: true } } as const;

/** Every node has it from the beginning. */
const known = 'known';

beforeAll(async () => {
  await test.recordEverywhere(known);
});

const standbyNames = () => nodes.cluster.standbys.map(({ name }) => name);

/** Records an object, and gives the token of the write. */
async function record(objectKey: string): Promise<string> {
  return (await test.plain.recordObject({ object: objectOf(objectKey) })).token;
}

/** Reads an object as fresh as the token says, and gives the letter of the node that served it. */
async function readAt(objectKey: string, token: string): Promise<string> {
  let servedBy = '';
  await test.plain.getObject(
    { objectKey, freshness: { demand: { case: 'atLeast', value: token } } },
    { onHeader: (headers) => (servedBy = headers.get('stowage-served-by') ?? '') },
  );
  return test.nameOf(/node=([^;]+)/.exec(servedBy)?.[1] ?? '') ?? servedBy;
}

interface LostTail {
  readonly former: string;
  readonly promoted: string;
  /** Of a write that every node has. */
  readonly before: string;
  /** Of a write that only the former primary has. */
  readonly lost: string;
}

/**
 * A write reaches no standby, the primary crashes, and a standby is promoted.
 * @param tailBytes how much the primary logs before that write.
 */
async function loseTail(lostKey: string, tailBytes = 0): Promise<LostTail> {
  const former = nodes.cluster.primary.name;
  const [promoted = '', other = ''] = standbyNames();
  const before = await record(`before ${lostKey}`);
  await nodes.cluster.waitUntilCaughtUp();
  for (const name of standbyNames()) await nodes.cluster.cutReplication(name);
  await nodes.sql(former, "select pg_logical_emit_message(false, 'tail', repeat('x', $1))", [
    tailBytes,
  ]);
  const lost = await record(lostKey);
  const told = test.transitions.mark();
  await nodes.cluster.crash(former);
  await nodes.cluster.promote(promoted);
  await nodes.cluster.repoint(other, promoted);
  await told.until(promoted, 'primary');
  expect(told.of(former)).toEqual(['primary', 'unreachable']);
  expect(told.of(promoted)).toEqual(['standby', 'unknown', 'primary']);
  return { former, promoted, before, lost };
}

/** Asks for the object so often that every node that may serve it would. */
async function readOften(objectKey: string): Promise<Set<string>> {
  const answers = Array.from({ length: 40 }, () =>
    test.plain.getObject({ objectKey, freshness: eventual }).then(
      ({ object }) => `${object?.contentType}`,
      (error: unknown) => failure(Promise.reject(error)).then(({ reason }) => `${reason}`),
    ),
  );
  return new Set(await Promise.all(answers));
}

describe('A server after a failover that lost a tail', () => {
  it('says TOKEN_HISTORY_LOST of a lost write, and serves a token from before', async () => {
    const { before, lost } = await loseTail('lost');
    const refusal = await failure(readAt(known, lost));
    expect(refusal).toMatchObject({ reason: 'TOKEN_HISTORY_LOST', retry: 'begin_again' });
    await readAt('before lost', before);
    const fresh = await record('after');
    await readAt('after', fresh);
    expect(await failure(readAt(known, lost))).toMatchObject({ reason: 'TOKEN_HISTORY_LOST' });
  });

  it.each([
    // So far that the row of the present timeline would have to be there.
    ['far behind the switch', 1_000_000, 'fenced'],
    // Not further than a node that is on its way to that row may be for a moment.
    ['just behind the switch', 0, 'unknown'],
  ] as const)('keeps a node that diverged %s out of every read', async (_, bytes, state) => {
    const lostKey = `diverged ${state}`;
    const { former } = await loseTail(lostKey, bytes);
    const told = test.transitions.mark();
    await nodes.rejoinNaively(former);
    await told.until(former, state);
    const lost = await nodes.sql(
      former,
      'select pg_is_in_recovery() as standby from storage_objects where object_key = $1',
      [lostKey],
    );
    expect(lost).toEqual([{ standby: true }]);
    expect(await readOften(lostKey)).toEqual(new Set(['OBJECT_NOT_FOUND']));
    expect(told.of(former)).toEqual(['unreachable', state]);
    await nodes.cluster.rejoin(former);
    await told.until(former, 'standby');
    expect(told.of(former)).toEqual(['unreachable', state, 'unreachable', 'standby']);
  });
});

describe('A server that meets a second primary', () => {
  it('never writes to a former primary that comes back writable, and never reads it', async () => {
    const former = nodes.cluster.primary.name;
    const [promoted = '', other = ''] = standbyNames();
    const told = test.transitions.mark();
    await nodes.cluster.crash(former);
    await nodes.cluster.promote(promoted);
    await nodes.cluster.repoint(other, promoted);
    await told.until(promoted, 'primary');
    await nodes.cluster.restart(former);
    await told.until(former, 'fenced');
    await nodes.sql(former, "update storage_objects set content_type = 'of another history'");
    const keys = Array.from({ length: 20 }, (_, index) => `split/${index}`);
    await Promise.all(keys.map(record));
    expect(await readOften(known)).toEqual(new Set(['application/octet-stream']));
    const written = await nodes.sql(
      former,
      "select object_key from storage_objects where object_key like 'split/%'",
    );
    expect(written).toEqual([]);
    // Nor is the primary given up for it by a word that comes too soon.
    const { topology } = await test.cluster.getTopology({});
    const node = topology?.nodes.find(({ name }) => test.nameOf(name) === former);
    const accepting = test.cluster.acceptTimeline({ timeline: node?.timeline ?? 0 });
    expect(await failure(accepting)).toMatchObject({ reason: 'PRIMARY_PRESENT' });
    expect(told.of(former)).toEqual(['primary', 'unreachable', 'fenced']);
    expect(told.of(promoted)).toEqual(['standby', 'unknown', 'primary']);
    expect(new Set(told.of(other))).not.toContain('unreachable');
  });
});

describe('A server that meets a primary given up again', () => {
  interface Episode {
    readonly former: string;
    readonly brief: string;
    readonly other: string;
    /** Of a write on the timeline that is given up. */
    readonly token: string;
  }

  /** A standby is promoted beside the primary, is written to, and dies. */
  async function promoteBriefly(told: Told): Promise<Episode> {
    const former = nodes.cluster.primary.name;
    const [brief = '', other = ''] = standbyNames();
    await nodes.cluster.promote(brief);
    await told.until(brief, 'primary');
    await told.until(former, 'fenced');
    const token = await record(`written on ${brief}`);
    await nodes.cluster.crash(brief);
    await told.until(brief, 'unreachable');
    expect(told.of(former)).toEqual(['primary', 'fenced']);
    return { former, brief, other, token };
  }

  /** The given-up timeline is history that was lost, whoever brings it back. */
  async function expectGivenUp({ former, brief, token }: Episode, told: Told): Promise<void> {
    await told.until(former, 'primary');
    expect(told.of(former)).toEqual(['primary', 'fenced', 'primary']);
    await readAt(known, await record('afterwards'));
    expect(await failure(readAt(known, token))).toMatchObject({ reason: 'TOKEN_HISTORY_LOST' });
    await nodes.cluster.restart(brief);
    await told.until(brief, 'fenced');
    // Where there are two servers, the other one may have recorded its timeline before.
    const states = told.of(brief).filter((state) => state !== 'unknown');
    expect(states).toEqual(['standby', 'primary', 'unreachable', 'fenced']);
  }

  /** A third one is promoted, for the embedded cluster takes the brief one for its primary. */
  async function endWith({ former, other }: Episode): Promise<void> {
    await nodes.cluster.crash(former);
    await nodes.cluster.promote(other);
  }

  it('goes on with the former one as soon as an operator says so', async () => {
    const told = test.transitions.mark();
    const episode = await promoteBriefly(told);
    const write = test.plain.recordObject({ object: objectOf('early') }, { timeoutMs: 1_000 });
    expect(await failure(write)).toMatchObject({ reason: 'NO_PRIMARY' });
    const { topology } = await test.cluster.getTopology({});
    const former = topology?.nodes.find(({ name }) => test.nameOf(name) === episode.former);
    expect(former?.fenceReason).toBe(FenceReason.FORMER_PRIMARY);
    const timeline = former?.timeline ?? 0;
    const accepted = await test.cluster.acceptTimeline({ timeline });
    const newer = await failure(test.cluster.acceptTimeline({ timeline: timeline + 7 }));
    expect(newer).toMatchObject({ reason: 'TIMELINE_NOT_FOUND' });
    expect(accepted.topology).toMatchObject({ primary: former?.name, timeline, canWrite: true });
    await expectGivenUp(episode, told);
    await endWith(episode);
  });

  it('goes on with the former one when any server has waited long enough', async () => {
    const told = test.transitions.mark();
    // The server itself would wait for 30 s: it obeys what another one writes down, which knows the
    // nodes by other addresses.
    const target = {
      url: nodes.database.serviceUrl ?? '',
      nodes: nodes.cluster.nodes.map(({ port }) => ({ host: 'localhost', port })),
    };
    let episode: Episode;
    {
      // It leaves before the end: where a promotion took longer than its fence, it would give the
      // cluster to the brief one.
      await using _impatient = await startTestRouter(target, {}, { fenceMs: 300 });
      episode = await promoteBriefly(told);
      await expectGivenUp(episode, told);
    }
    await endWith(episode);
  });
});

describe('A server whose standbys stand still', () => {
  const pauseAll = () => Promise.all(standbyNames().map((name) => nodes.cluster.pauseReplay(name)));

  it('waits for replay within a budget, then asks the primary', async () => {
    await pauseAll();
    const token = await record('paused');
    const startedAtMs = performance.now();
    expect(await readAt('paused', token)).toBe(nodes.cluster.primary.name);
    const waitedMs = performance.now() - startedAtMs;
    expect(waitedMs).toBeGreaterThan(100);
    expect(waitedMs, `the wait took ${waitedMs} ms`).toBeLessThan(3_000);
  });

  it('wakes a read that waits, once a standby has replayed its token', async () => {
    await pauseAll();
    const token = await record('resumed');
    const [first = ''] = standbyNames();
    const reading = readAt('resumed', token);
    await nodes.cluster.resumeReplay(first);
    expect(await reading).toBe(first);
  });

  it('knows them as soon as they have the row of its timeline, however slow its beat', async () => {
    await using database = await createTestDatabase(nodes.cluster.superuserUrl());
    await nodes.cluster.waitUntilCaughtUp();
    await pauseAll();
    const addresses = nodes.cluster.nodes.map(({ name }) => nodes.addressOf(name));
    await using server = await openServer(database, addresses, {
      STOWAGE_PROBE_INTERVAL_MS: '60000',
    });
    const states = async () => {
      const { topology } = await server.doors.gRPC.cluster.getTopology({});
      return topology?.nodes.map(({ state }) => NodeState[state]).sort();
    };
    expect(await states()).toEqual(['PRIMARY', 'UNKNOWN', 'UNKNOWN']);
    for (const name of standbyNames()) await nodes.cluster.resumeReplay(name);
    const areKnown = async () => `${await states()}` === 'PRIMARY,STANDBY,STANDBY';
    await until(areKnown, { timeoutMs: 20_000, what: 'the standbys are known' });
  });

  it('says STANDBY_BEHIND when there is no primary to ask', async () => {
    await pauseAll();
    const token = await record('behind');
    const { name: primary } = nodes.cluster.primary;
    const told = test.transitions.mark();
    await nodes.cluster.crash(primary);
    await told.until(primary, 'unreachable');
    const refusal = await failure(readAt('behind', token));
    expect(refusal).toMatchObject({ reason: 'STANDBY_BEHIND', retry: 'after_delay' });
    expect(refusal.retryDelayMs).toBeGreaterThan(0);
    for (const name of standbyNames()) await nodes.cluster.resumeReplay(name);
    expect(standbyNames()).toContain(await readAt('behind', token));
    await nodes.cluster.restart(primary);
    await told.until(primary, 'primary');
    expect(told.lines()).toEqual([
      `${primary}: primary > unreachable`,
      `${primary}: unreachable > primary`,
    ]);
    await nodes.cluster.waitUntilCaughtUp();
  });
});
