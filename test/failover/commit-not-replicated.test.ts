/** What a repeat is told of a commit that no standby has confirmed. */

import { randomUUID } from 'node:crypto';
import { create } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RecordObjectRequestSchema } from '../../gen/stowage/v1/storage_record_pb.js';
import { until } from '../../src/lib/wait.js';
import type { RouterHandle } from '../../src/postgres/router-handle.js';
import { recordObject } from '../../src/store/record-calls.js';
import { startTestCluster, type TestCluster } from '../support/cluster.js';
import { createTestDatabase, type TestConnection, type TestDatabase } from '../support/database.js';
import { startTestRouter, testCall } from '../support/router.js';

const WAIT = { timeoutMs: 20_000 };

describe('A commit that no standby has confirmed', () => {
  let test: TestCluster;
  let database: TestDatabase;
  let admin: TestConnection;
  let router: RouterHandle;

  beforeAll(async () => {
    test = await startTestCluster({ standbys: 1 });
    const { cluster } = test;
    database = await createTestDatabase(cluster.superuserUrl());
    admin = await database.connect();
    const nodes = cluster.nodes.map(({ port }) => ({ host: '127.0.0.1', port }));
    router = await startTestRouter({ url: database.serviceUrl ?? '', nodes });
  });

  afterAll(async () => {
    await router?.close();
    await test?.stop();
  });

  const configure = async (text: string) => {
    await admin.query(text);
    await admin.query('select pg_reload_conf()');
  };
  /** Ends the commit's wait for a standby, if it waits, as the server itself does after 30 s. */
  const reasonOf = async (commit: Promise<unknown>): Promise<string | undefined> => {
    let isOver = false;
    const reason = commit
      .then(() => undefined, String)
      .finally(() => {
        isOver = true;
      });
    const isGivenUp = async () => {
      const waiting = await admin.query(
        `select pg_cancel_backend(pid) from pg_stat_activity
         where datname = current_database() and wait_event = 'SyncRep'`,
      );
      return isOver || waiting.length > 0;
    };
    await until(isGivenUp, { ...WAIT, what: 'a commit waits for a standby, or is through' });
    return reason;
  };
  const record = (requestId: string, objectKey: string) => {
    const store = { router, sealer: router.sealer, heartbeatMs: 1_000 };
    const object = { objectKey, etag: 'a', size: 1n, storageBackend: 's3' };
    return recordObject(
      store,
      testCall(),
      create(RecordObjectRequestSchema, { requestId, object }),
    );
  };

  it('is not told as durable to a repeat, until it is', async () => {
    const { cluster } = test;
    const [standby] = cluster.standbys;
    const name = standby?.name ?? '';
    const alone = expect.stringContaining('no standby has confirmed it');
    await cluster.cutReplication(name);
    await configure("alter system set synchronous_standby_names = '*'");
    // A reload is taken in process by process.
    const isHeld = async () => (await reasonOf(record(randomUUID(), 'probe'))) !== undefined;
    await until(isHeld, { ...WAIT, what: 'commits wait for a standby' });
    const requestId = randomUUID();
    expect(await reasonOf(record(requestId, 'alone'))).toEqual(alone);
    expect(await reasonOf(record(requestId, 'alone'))).toEqual(alone);
    await cluster.repoint(name, cluster.primary.name);
    const { response } = await record(requestId, 'alone');
    expect(response.object?.revision).toBe(1n);
    await configure('alter system reset synchronous_standby_names');
  });
});
