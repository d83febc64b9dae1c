/** What becomes of a commit whose answer is lost, seen at the store. */

import { randomUUID } from 'node:crypto';
import { create } from '@bufbuild/protobuf';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { AuditEventSchema } from '../../gen/stowage/v1/audit_pb.js';
import {
  RecordObjectRequestSchema,
  RecordOutcome,
} from '../../gen/stowage/v1/storage_record_pb.js';
import { until } from '../../src/lib/wait.js';
import type { RouterHandle } from '../../src/postgres/router-handle.js';
import { Appender } from '../../src/store/append-calls.js';
import { auditTable } from '../../src/store/append-table.js';
import { eventRow } from '../../src/store/event-row.js';
import { type CommitInDoubtEvent, commitInDoubtChannel } from '../../src/store/events.js';
import { recordObject } from '../../src/store/record-calls.js';
import { sharedCluster } from '../support/cluster.js';
import { createTestDatabase, type TestConnection, type TestDatabase } from '../support/database.js';
import { keeping } from '../support/keeping.js';
import { settled, startTestRouter, testCall } from '../support/router.js';
import { openProxy, type TcpProxy } from '../support/tcp-proxy.js';

const WAIT = { timeoutMs: 10_000 };
/** Held by a test: no commit of an object goes through. */
const GATE = 4711;

describe('A commit in doubt', () => {
  let database: TestDatabase;
  let admin: TestConnection;
  let proxy: TcpProxy;
  let router: RouterHandle;

  beforeAll(async () => {
    const { nodes } = sharedCluster();
    database = await createTestDatabase(nodes[0]?.url ?? '');
    admin = await database.connect();
    // Waits within COMMIT, before it takes effect; whatever the session's lock timeout is.
    await admin.query(
      `create function wait_at_gate() returns trigger language plpgsql set lock_timeout = 0 as
       $$ begin perform pg_advisory_xact_lock_shared(${GATE}); return null; end $$`,
    );
    await admin.query(
      `create constraint trigger gate after insert on storage_objects
       deferrable initially deferred for each row execute function wait_at_gate()`,
    );
    await admin.query(
      `create constraint trigger gate after insert on storage_audit
       deferrable initially deferred for each row execute function wait_at_gate()`,
    );
    proxy = await openProxy(database.url);
    const [host = '', port = ''] = proxy.address.split(':');
    const target = { url: database.serviceUrl ?? '', nodes: [{ host, port: Number(port) }] };
    router = await startTestRouter(target, { lockTimeoutMs: 500, probeIntervalMs: 100 });
  });

  afterAll(async () => {
    await router.close();
    await proxy[Symbol.asyncDispose]();
    await database.drop();
  });

  const ends: string[] = [];
  const onDoubt = (event: unknown) => ends.push((event as CommitInDoubtEvent).end);
  beforeEach(() => {
    ends.length = 0;
    commitInDoubtChannel.subscribe(onDoubt);
  });
  afterEach(() => void commitInDoubtChannel.unsubscribe(onDoubt));

  const shutGate = () => admin.query('select pg_advisory_lock($1)', [GATE]);
  const openGate = () => admin.query('select pg_advisory_unlock_all()');
  const record = (requestId: string, objectKey: string, etag = 'a', options = {}) => {
    const store = { router, sealer: router.sealer, heartbeatMs: 1_000, keeping };
    const object = { objectKey, etag, size: 1n, storageBackend: 's3' };
    const request = create(RecordObjectRequestSchema, { requestId, object });
    return recordObject(store, testCall(options), request);
  };
  /** Backends of this database that wait for what a commit or its claim waits for. */
  const untilWaiting = (event: string) => {
    const isWaiting = async () => {
      const rows = await admin.query<{ pid: number }>(
        `select pid from pg_stat_activity
         where datname = current_database() and wait_event = $1`,
        [event],
      );
      return rows[0]?.pid;
    };
    return until(isWaiting, { ...WAIT, what: `a backend waits in ${event}` });
  };
  const cutLine = () => proxy.reset();
  const revisionOf = async (objectKey: string) => {
    const rows = await admin.query<{ revision: string }>(
      'select revision from storage_objects where object_key = $1',
      [objectKey],
    );
    return rows.map(({ revision }) => Number(revision));
  };

  it('is settled as done where its backend commits behind the lost line', async () => {
    await shutGate();
    const promise = record(randomUUID(), 'done');
    await untilWaiting('advisory');
    cutLine();
    // The claim waits for the backend that nobody listens to any more.
    await untilWaiting('transactionid');
    await openGate();
    const { response, token } = await promise;
    expect(response).toMatchObject({ outcome: RecordOutcome.CREATED });
    expect(token).toMatch(/^[\w-]{59}$/);
    expect(await revisionOf('done')).toEqual([1]);
    expect(ends).toEqual(['answered']);
    await settled(router);
  });

  it('is done again where its backend was ended amid COMMIT', async () => {
    await shutGate();
    const requestId = randomUUID();
    const promise = record(requestId, 'again');
    const pid = await untilWaiting('advisory');
    await admin.query('select pg_terminate_backend($1)', [pid]);
    const isAnother = async () => (await untilWaiting('advisory')) !== pid;
    await until(isAnother, { ...WAIT, what: 'the claim commits' });
    await openGate();
    const { response } = await promise;
    expect(response.object?.revision).toBe(1n);
    expect(await revisionOf('again')).toEqual([1]);
    expect(ends).toEqual(['repeated']);
    // The answer that a repeat is given is that of the run which stands.
    const repeated = await record(requestId, 'again');
    expect(repeated.response).toEqual(response);
  });

  it('stays in doubt where the claim waits for too long', async () => {
    await shutGate();
    const requestId = randomUUID();
    const promise = record(requestId, 'open');
    const outcome = expect(promise).rejects.toMatchObject({ reason: 'COMMIT_OUTCOME_UNKNOWN' });
    await untilWaiting('advisory');
    cutLine();
    await outcome;
    expect(ends).toEqual(['unknown']);
    await openGate();
    // The repeat settles it later, and another request does not get its answer.
    const { response } = await record(requestId, 'open');
    expect(response.object?.revision).toBe(1n);
    await expect(record(requestId, 'open', 'b')).rejects.toMatchObject({
      reason: 'REQUEST_ID_REUSED',
    });
  });

  it('goes to the caller where there is no request id', async () => {
    await shutGate();
    const promise = record('', 'nameless');
    const outcome = expect(promise).rejects.toMatchObject({ reason: 'COMMIT_OUTCOME_UNKNOWN' });
    await untilWaiting('advisory');
    cutLine();
    await outcome;
    expect(ends).toEqual(['unknown']);
    await openGate();
  });

  it('goes to the caller where the call has ended', async () => {
    await shutGate();
    const controller = new AbortController();
    const promise = record(randomUUID(), 'ended', 'a', { signal: controller.signal });
    const outcome = promise.then(
      () => 'done',
      (error: { reason?: string }) => error.reason,
    );
    await untilWaiting('advisory');
    controller.abort();
    const reason = await outcome;
    // Nothing cancels what was seen to be under way: it goes through once it can. Where the word
    // of that was yet to be read, it was cancelled, and nothing is done.
    expect(['COMMIT_OUTCOME_UNKNOWN', 'CANCELLED']).toContain(reason);
    await openGate();
    await settled(router);
    expect(await revisionOf('ended')).toEqual(reason === 'CANCELLED' ? [] : [1]);
  });

  it('tells what its claim was refused for, once the id was ours', async () => {
    await shutGate();
    const store = { router, sealer: router.sealer, heartbeatMs: 1_000, keeping };
    const object = { objectKey: 'taken', etag: 'a', size: 1n, storageBackend: 's3' };
    const requestId = randomUUID();
    const request = create(RecordObjectRequestSchema, { requestId, object, ifAbsent: true });
    const promise = recordObject(store, testCall(), request);
    const outcome = expect(promise).rejects.toMatchObject({ reason: 'ALREADY_EXISTS' });
    const pid = await untilWaiting('advisory');
    // Another writer waits for the key, and has it as soon as the first backend is ended.
    const other = await database.connect();
    const taken = other.query(
      `insert into storage_objects (project_id, object_key, id, size, version_id, storage_backend)
       values ('default', 'taken', gen_random_uuid(), 1, 'v', 's3')`,
    );
    await untilWaiting('transactionid');
    await admin.query('select pg_terminate_backend($1)', [pid]);
    await openGate();
    await taken;
    await outcome;
    expect(ends).toEqual(['refused']);
  });

  /** Events with keys of their own, appended by as many callers at once. */
  const appending = (action: string) => {
    const events = new Appender({ router, keeping }, auditTable);
    const timestamp = { seconds: BigInt(Math.floor(Date.now() / 1000)), nanos: 0 };
    const rows = [1, 2, 3].map(() =>
      eventRow(
        create(AuditEventSchema, { id: randomUUID(), timestamp, action }),
        'event',
        Date.now(),
      ),
    );
    const append = () => rows.map((row) => events.one(testCall(), row));
    return { rows, append };
  };
  const keptOf = async (action: string) => {
    const [row] = await admin.query<{ rows: number }>(
      'select count(*)::int as rows from storage_audit where action = $1',
      [action],
    );
    return row?.rows;
  };

  it('of appends is settled as done where its backend commits behind the lost line', async () => {
    await shutGate();
    const answers = Promise.all(appending('DONE').append());
    await untilWaiting('advisory');
    cutLine();
    await untilWaiting('transactionid');
    await openGate();
    for (const token of await answers) expect(token).toMatch(/^[\w-]{59}$/);
    expect(await keptOf('DONE')).toBe(3);
    expect(ends).toEqual(['answered']);
    await settled(router);
  });

  it('of appends is done again where its backend was ended amid COMMIT', async () => {
    await shutGate();
    const answers = Promise.all(appending('AGAIN').append());
    const pid = await untilWaiting('advisory');
    await admin.query('select pg_terminate_backend($1)', [pid]);
    const isAnother = async () => (await untilWaiting('advisory')) !== pid;
    await until(isAnother, { ...WAIT, what: 'the rows are appended again' });
    await openGate();
    expect(await answers).toHaveLength(3);
    expect(await keptOf('AGAIN')).toBe(3);
    expect(ends).toEqual(['repeated']);
  });

  it('of appends goes to each caller with its key where it cannot be settled', async () => {
    await shutGate();
    const { rows, append } = appending('OPEN');
    const outcomes = Promise.allSettled(append());
    await untilWaiting('advisory');
    cutLine();
    const told = await outcomes;
    for (const [at, row] of rows.entries()) {
      expect(told[at]).toMatchObject({
        status: 'rejected',
        reason: {
          reason: 'COMMIT_OUTCOME_UNKNOWN',
          metadata: { id: row.id, timestamp: row.time },
        },
      });
    }
    expect(ends).toEqual(['unknown']);
    await openGate();
    expect(await Promise.all(append())).toHaveLength(3);
    expect(await keptOf('OPEN')).toBe(3);
  });
});
