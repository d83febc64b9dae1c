/** A server whose primary dies, or gives up waiting, in the midst of COMMIT. */
import { randomUUID } from 'node:crypto';
import { expect, it } from 'vitest';
import { useFailingService } from '../support/failing-service.js';
import { objectOf } from '../support/load.js';
import { failure } from '../support/service.js';

const test = useFailingService();
const { nodes } = test;

const LONG = { timeoutMs: 30_000 };

/** A request to record an object, with an id or without. */
const requestFor = (objectKey: string, requestId = '') => ({
  object: objectOf(objectKey),
  requestId,
});

/** What the primary has of an object: its revision, and how many changes made it. */
async function historyOf(objectKey: string) {
  const [row] = await nodes.sql<{ revision: string; changes: string }>(
    nodes.cluster.primary.name,
    `select (select revision from storage_objects where object_key = $1) as revision,
            (select count(*) from storage_changes where object_key = $1) as changes`,
    [objectKey],
  );
  return row;
}

/** A call that is awaited later; its failure, if it has one, is met there. */
function answered<T>(call: Promise<T>): Promise<T> {
  call.catch(() => undefined);
  return call;
}

const once = { revision: '1', changes: '1' };

it('answers a commit that outlived the crash of its primary as it was done, once', async () => {
  const { name: primary } = nodes.cluster.primary;
  await nodes.holdCommits();
  const request = requestFor('survived', randomUUID());
  const call = answered(test.plain.recordObject(request, LONG));
  await nodes.untilWaiting(primary, 'SyncRep');
  const told = test.transitions.mark();
  await nodes.cluster.crash(primary);
  await told.until(primary, 'unreachable');
  await nodes.cluster.restart(primary);
  await nodes.releaseCommits();
  const answer = await call;
  expect(answer.object?.revision).toBe(1n);
  expect(await historyOf('survived')).toEqual(once);
  const again = await test.plain.recordObject(request);
  expect(again.object).toEqual(answer.object);
  expect(await historyOf('survived')).toEqual(once);
  expect(told.of(primary)).toEqual(['primary', 'unreachable', 'primary']);
});

it('does a commit again, once, that was lost with its primary', async () => {
  const { name: primary } = nodes.cluster.primary;
  const [promoted = '', other = ''] = nodes.cluster.standbys.map(({ name }) => name);
  await nodes.holdCommits();
  const request = requestFor('lost', randomUUID());
  const call = answered(test.plain.recordObject(request, LONG));
  await nodes.untilWaiting(primary, 'SyncRep');
  const told = test.transitions.mark();
  await nodes.cluster.crash(primary);
  await nodes.cluster.promote(promoted);
  await nodes.cluster.repoint(other, promoted);
  await told.until(promoted, 'primary');
  expect((await call).object?.revision).toBe(1n);
  expect(await historyOf('lost')).toEqual(once);
  expect(told.of(primary)).toEqual(['primary', 'unreachable']);
  expect(told.of(promoted)).toEqual(['standby', 'unknown', 'primary']);
});

it('says COMMIT_OUTCOME_UNKNOWN of a commit without a request id', async () => {
  const { name: primary } = nodes.cluster.primary;
  await nodes.holdCommits();
  const refused = failure(test.plain.recordObject(requestFor('nameless'), LONG));
  await nodes.untilWaiting(primary, 'SyncRep');
  const told = test.transitions.mark();
  await nodes.cluster.crash(primary);
  expect(await refused).toMatchObject({
    reason: 'COMMIT_OUTCOME_UNKNOWN',
    retry: 'same_request_id',
  });
  await nodes.cluster.restart(primary);
  await nodes.releaseCommits();
  await told.until(primary, 'primary');
  expect(told.of(primary)).toEqual(['primary', 'unreachable', 'primary']);
  expect(await historyOf('nameless')).toEqual(once);
});

it('says COMMIT_NOT_REPLICATED of a commit whose wait was cancelled, and repeats its answer', async () => {
  const { name: primary } = nodes.cluster.primary;
  await nodes.holdCommits();
  const request = requestFor('alone', randomUUID());
  const refused = failure(test.plain.recordObject(request, LONG));
  await nodes.untilWaiting(primary, 'SyncRep');
  await nodes.cancelHeldCommits();
  expect(await refused).toMatchObject({
    reason: 'COMMIT_NOT_REPLICATED',
    retry: 'same_request_id',
  });
  await nodes.releaseCommits();
  expect((await test.plain.recordObject(request)).object?.revision).toBe(1n);
  expect(await historyOf('alone')).toEqual(once);
});
