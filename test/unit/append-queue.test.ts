import { describe, expect, it } from 'vitest';
import { StowageError } from '../../src/errors.js';
import { type Deferred, deferred } from '../../src/lib/deferred.js';
import type { Call } from '../../src/postgres/call.js';
import { AppendQueue, type QueueLimits, type Sender } from '../../src/store/append-queue.js';
import { type TestCallOptions, testCall } from '../support/router.js';

interface Row {
  readonly name: string;
  readonly bytes: number;
}

interface Sent {
  readonly call: Call;
  readonly names: readonly string[];
  readonly answer: Deferred<string>;
}

const row = (name: string, bytes = 1): Row => ({ name, bytes });
const namesOf = (sent: readonly Sent[]) => sent.map(({ names }) => names.join(' '));

/** A queue whose batches a test answers itself. */
function open(limits?: Partial<QueueLimits>, blame: Sender<Row>['blame'] = () => 'batch') {
  const sent: Sent[] = [];
  const queue = new AppendQueue<Row>(
    {
      send(call, rows) {
        const answer = deferred<string>();
        sent.push({ call, names: rows.map(({ name }) => name), answer });
        return answer.promise;
      },
      blame,
      groupOf: ({ name }) => name.slice(0, 1),
    },
    { batchRowsMax: 500, batchBytesMax: 1000, rowsMax: 1000, bytesMax: 10_000, ...limits },
  );
  const append = (name: string, options: TestCallOptions = {}, bytes = 1) =>
    queue.append(testCall(options), row(name, bytes));
  return { queue, sent, append };
}

/** Long enough for all that needs no answer. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 4; turn += 1) {
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Answers each batch as soon as it is sent. */
async function answerAll(
  sent: readonly Sent[],
  judge: (names: readonly string[]) => Error | string,
) {
  for (let done = 0; done < 1000; ) {
    await settle();
    if (done === sent.length) return;
    for (; done < sent.length; done += 1) {
      const { names, answer } = sent[done] as Sent;
      const verdict = judge(names);
      if (typeof verdict === 'string') answer.resolve(verdict);
      else answer.reject(verdict);
    }
  }
}

describe('AppendQueue', () => {
  it('sends at once what comes in one turn, and then what came meanwhile', async () => {
    const { queue, sent, append } = open();
    const first = [append('a'), append('b')];
    await settle();
    const then = [append('c'), append('d'), append('e')];
    await settle();
    expect(namesOf(sent)).toEqual(['a b']);
    sent[0]?.answer.resolve('token 1');
    expect(await Promise.all(first)).toEqual(['token 1', 'token 1']);
    await settle();
    expect(namesOf(sent)).toEqual(['a b', 'c d e']);
    sent[1]?.answer.resolve('token 2');
    expect(await Promise.all(then)).toEqual(['token 2', 'token 2', 'token 2']);
    await settle();
    expect(queue.holds).toEqual({ projects: 0, rows: 0, bytes: 0 });
  });

  it('has one batch of a project under way, and those of projects beside each other', async () => {
    const { queue, sent, append } = open();
    const calls = ['x', 'y', 'z'].map((project) => append(project, { project }));
    await settle();
    const more = ['x', 'y', 'z'].map((project) => append(`${project}2`, { project }));
    await settle();
    expect(namesOf(sent)).toEqual(['x', 'y', 'z']);
    expect(sent.map(({ call }) => call.project)).toEqual(['x', 'y', 'z']);
    expect(queue.holds.projects).toBe(3);
    await answerAll(sent, () => 'token');
    await Promise.all([...calls, ...more]);
    expect(queue.holds.projects).toBe(0);
  });

  it('bounds a batch by rows and by bytes', async () => {
    const { sent, append } = open({ batchRowsMax: 3, batchBytesMax: 100 });
    const calls = [
      ...['a', 'b', 'c', 'd'].map((name) => append(name)),
      append('e', {}, 60),
      append('f', {}, 60),
      append('g', {}, 200),
      append('h'),
    ];
    await answerAll(sent, () => 'token');
    await Promise.all(calls);
    expect(namesOf(sent)).toEqual(['a b c', 'd e', 'f', 'g', 'h']);
  });

  it('refuses what is over its bounds, and takes more once there is room', async () => {
    const { queue, sent, append } = open({ rowsMax: 3, bytesMax: 100 });
    const held = [append('a'), append('b', { project: 'other' }, 90)];
    const full = { reason: 'OVERLOADED', retryDelayMs: expect.any(Number) };
    await expect(append('c', {}, 20)).rejects.toMatchObject(full);
    held.push(append('d'));
    await expect(append('e')).rejects.toMatchObject(full);
    await settle();
    // Under way is held too.
    await expect(append('e')).rejects.toMatchObject(full);
    await answerAll(sent, () => 'token');
    await Promise.all(held);
    expect(queue.holds).toEqual({ projects: 0, rows: 0, bytes: 0 });
    const again = append('e', {}, 100);
    await answerAll(sent, () => 'token');
    expect(await again).toBe('token');
  });

  it('lets a row go with its caller before it is sent', async () => {
    const { queue, sent, append } = open();
    const first = append('a');
    await settle();
    const leaving = new AbortController();
    const left = append('b', { signal: leaving.signal });
    const late = append('c', { timeoutMs: 1 });
    const stays = append('d');
    leaving.abort(new StowageError('DRAINING'));
    await expect(left).rejects.toMatchObject({ reason: 'DRAINING' });
    await expect(late).rejects.toMatchObject({ reason: 'DEADLINE_EXCEEDED' });
    expect(queue.holds.rows).toBe(2);
    await answerAll(sent, () => 'token');
    expect(await Promise.all([first, stays])).toEqual(['token', 'token']);
    expect(namesOf(sent)).toEqual(['a', 'd']);
  });

  it('ends a batch that nobody waits for any more, and only then', async () => {
    const { queue, sent, append } = open();
    const [one, other] = [new AbortController(), new AbortController()];
    const calls = [append('a', { signal: one.signal }), append('b', { signal: other.signal })];
    const outcomes = Promise.allSettled(calls);
    await settle();
    const signal = sent[0]?.call.signal;
    one.abort();
    expect(signal?.aborted).toBe(false);
    other.abort();
    expect(signal?.aborted).toBe(true);
    expect((await outcomes).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    sent[0]?.answer.reject(signal?.reason);
    await settle();
    expect(queue.holds).toEqual({ projects: 0, rows: 0, bytes: 0 });
  });

  it('takes nothing of a caller that has left before', async () => {
    const { queue, append } = open();
    const gone = append('a', { signal: AbortSignal.abort() });
    await expect(gone).rejects.toMatchObject({ reason: 'CANCELLED' });
    expect(queue.holds).toEqual({ projects: 0, rows: 0, bytes: 0 });
  });

  it('gives a batch the time of whoever waits longest, and a bound', async () => {
    const { sent, append } = open();
    const calls = [append('a', { timeoutMs: 5_000 }), append('b', { timeoutMs: 20_000 })];
    const endless = append('c', { project: 'other', timeoutMs: 3_600_000 });
    await settle();
    const remaining = sent.map(({ call }) => call.deadlineMs - performance.now());
    expect(remaining[0]).toBeGreaterThan(5_000);
    expect(remaining[0]).toBeLessThanOrEqual(20_000);
    expect(remaining[1]).toBeLessThanOrEqual(30_000);
    await answerAll(sent, () => 'token');
    await Promise.all([...calls, endless]);
  });

  it('fails a batch as a whole where no row is to blame', async () => {
    const { sent, append } = open();
    const outcomes = Promise.allSettled(['a', 'b', 'c'].map((name) => append(name)));
    await answerAll(sent, () => new StowageError('NO_PRIMARY'));
    for (const outcome of await outcomes) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { reason: 'NO_PRIMARY' } });
    }
    expect(sent).toHaveLength(1);
  });

  it('halves a batch until a row that is to blame is alone', async () => {
    const { sent, append } = open({}, () => 'row');
    const names = Array.from({ length: 64 }, (_, at) => (at === 37 ? 'bad' : `good ${at}`));
    const outcomes = Promise.allSettled(names.map((name) => append(name)));
    await answerAll(sent, (batch) =>
      batch.includes('bad') ? new StowageError('INTERNAL') : 'token',
    );
    const statuses = (await outcomes).map(({ status }) => status);
    expect(statuses.indexOf('rejected')).toBe(37);
    expect(statuses.filter((status) => status === 'rejected')).toHaveLength(1);
    // Two batches a halving, and the first.
    expect(sent.length).toBe(1 + 2 * Math.log2(64));
  });

  it('blames a group as a whole, without taking it apart', async () => {
    const { sent, append } = open({}, () => 'group');
    const outcomes = Promise.allSettled(['x1', 'y1', 'x2', 'z1', 'x3'].map((name) => append(name)));
    await answerAll(sent, (batch) =>
      batch.some((name) => name.startsWith('x')) ? new StowageError('INTERNAL') : 'token',
    );
    const statuses = (await outcomes).map(({ status }) => status);
    expect(statuses).toEqual(['rejected', 'fulfilled', 'rejected', 'fulfilled', 'rejected']);
    expect(namesOf(sent)).toEqual(['x1 y1 x2 z1 x3', 'x1 x2 x3', 'y1', 'z1']);
  });

  it('tells each caller who served it', async () => {
    const { queue, sent } = open();
    const calls = [testCall(), testCall()];
    const answers = calls.map((call, at) => queue.append(call, row(String(at))));
    await settle();
    const by = { node: 'a:1', role: 'primary', lagMs: 0 } as const;
    sent[0]?.call.onServed(by, 'token');
    sent[0]?.answer.resolve('token');
    await Promise.all(answers);
    for (const { served } of calls) expect(served).toEqual([{ by, token: 'token' }]);
    expect(sent[0]?.call.principal).toBe('stowage');
  });
});
