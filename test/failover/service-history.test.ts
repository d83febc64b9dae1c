/** A server whose nodes have parted: what is lost, who has it still, and that nobody is told of it. */
import { beforeAll, describe, expect, it } from 'vitest';
import { useFailingService } from '../support/failing-service.js';
import { objectOf } from '../support/load.js';
import { failure } from '../support/service.js';

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
  return test.nameOf(/node=([^;]+)/.exec(servedBy)?.[1] ?? servedBy);
}

interface LostTail {
  readonly former: string;
  readonly promoted: string;
  /** Of a write that every node has. */
  readonly before: string;
  /** Of a write that only the former primary has. */
  readonly lost: string;
}

/** A write reaches no standby, the primary crashes, and a standby is promoted. */
async function loseTail(lostKey: string): Promise<LostTail> {
  const former = nodes.cluster.primary.name;
  const [promoted = '', other = ''] = standbyNames();
  const before = await record(`before ${lostKey}`);
  await nodes.cluster.waitUntilCaughtUp();
  for (const name of standbyNames()) await nodes.cluster.cutReplication(name);
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
  it('says TOKEN_HISTORY_LOST to the token of a lost write, and serves one from before', async () => {
    const { before, lost } = await loseTail('lost');
    const refusal = await failure(readAt(known, lost));
    expect(refusal).toMatchObject({ reason: 'TOKEN_HISTORY_LOST', retry: 'begin_again' });
    await readAt('before lost', before);
    const fresh = await record('after');
    await readAt('after', fresh);
    expect(await failure(readAt(known, lost))).toMatchObject({ reason: 'TOKEN_HISTORY_LOST' });
  });

  it('keeps a diverged node out of every read, whatever is asked for', async () => {
    const { former } = await loseTail('diverged');
    const told = test.transitions.mark();
    await nodes.rejoinNaively(former);
    await told.until(former, 'fenced');
    const [row] = await nodes.sql(
      former,
      `select pg_is_in_recovery() as standby, object_key from storage_objects
       where object_key = 'diverged'`,
    );
    expect(row).toEqual({ standby: true, object_key: 'diverged' });
    expect(await readOften('diverged')).toEqual(new Set(['OBJECT_NOT_FOUND']));
    expect(told.of(former)).toEqual(['unreachable', 'fenced']);
    await nodes.cluster.rejoin(former);
    await told.until(former, 'standby');
    expect(told.of(former)).toEqual(['unreachable', 'fenced', 'unreachable', 'standby']);
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
    expect(await readOften(known)).toEqual(new Set(['']));
    const written = await nodes.sql(
      former,
      "select object_key from storage_objects where object_key like 'split/%'",
    );
    expect(written).toEqual([]);
    expect(told.of(former)).toEqual(['primary', 'unreachable', 'fenced']);
    expect(told.of(promoted)).toEqual(['standby', 'unknown', 'primary']);
    expect(told.of(other)).toEqual([]);
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
