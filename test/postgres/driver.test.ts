// What this room leans on in the driver beyond its public face. When one of these fails after an
// update of `pg`, src/postgres/driver.ts says what has to be found again.
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  createBareConnection,
  createClient,
  type DriverClient,
  driverConfig,
  type NodeAddress,
  type Submission,
} from '../../src/postgres/driver.js';
import { sharedCluster } from '../support/cluster.js';
import { testSettings } from '../support/router.js';

const PINNED = '8.23.1';

describe(`pg ${PINNED}`, () => {
  let node: NodeAddress;
  let client: DriverClient;
  const settings = () => {
    const { nodes } = sharedCluster();
    return testSettings({ url: nodes[0]?.url ?? '', nodes });
  };

  beforeAll(async () => {
    const [first] = sharedCluster().nodes;
    if (first === undefined) throw new Error('the cluster has no node');
    node = first;
    client = createClient(driverConfig(settings(), node, 'probe'));
    client.on('error', () => undefined);
    await client.connect();
  });

  afterAll(async () => {
    await client?.end();
  });

  /** Runs a query and notes what the client calls on its submission. */
  const observe = (text: string): Promise<string[]> =>
    new Promise((resolve) => {
      const calls: string[] = [];
      const note = (name: string) => () => void calls.push(name);
      const submission: Submission = {
        submit(connection) {
          connection.parse({ name: '', text });
          connection.describe({ type: 'S', name: '' });
          connection.bind({ statement: '', values: [] });
          connection.execute({ rows: 0 });
          connection.sync();
        },
        handleRowDescription: note('rowDescription'),
        handleDataRow: note('dataRow'),
        handleCommandComplete: note('commandComplete'),
        handleEmptyQuery: note('emptyQuery'),
        handlePortalSuspended: note('portalSuspended'),
        handleCopyInResponse: note('copyInResponse'),
        handleCopyData: note('copyData'),
        handleError: note('error'),
        handleReadyForQuery: note('readyForQuery'),
      };
      client.connection.once('readyForQuery', () => resolve(calls));
      client.query(submission);
    });

  it('is the version that was read', async () => {
    const entry = createRequire(import.meta.url).resolve('pg/package.json');
    const { version } = JSON.parse(await readFile(join(dirname(entry), 'package.json'), 'utf8'));
    expect(version).toBe(PINNED);
  });

  it('reads the socket with one listener, its parser', () => {
    expect(client.connection.stream.listeners('data')).toHaveLength(1);
  });

  it('has the methods that write messages', () => {
    const { connection } = client;
    for (const name of ['parse', 'describe', 'bind', 'execute', 'close', 'sync'] as const) {
      expect(connection[name]).toBeTypeOf('function');
    }
    const bare = createBareConnection(settings());
    for (const name of ['connect', 'cancel', 'requestSsl'] as const) {
      expect(bare[name]).toBeTypeOf('function');
    }
  });

  it('keeps what a cancel request needs', () => {
    expect(client.processID).toBeGreaterThan(0);
    expect(client.secretKey).toEqual(expect.any(Number));
  });

  it('calls the submission for each message', async () => {
    expect(await observe('select 1 as one')).toEqual([
      'rowDescription',
      'dataRow',
      'commandComplete',
      'readyForQuery',
    ]);
    expect(client.getTransactionStatus()).toBe('I');
  });

  it('forgets a submission at its error, before the server is ready', async () => {
    expect(await observe('select 1 / 0')).toEqual(['rowDescription', 'error']);
  });

  it('tells notices as events with their routine', async () => {
    const notice = new Promise((resolve) => client.once('notice', resolve));
    await observe(`do $$ begin raise warning 'x'; end $$`);
    expect(await notice).toMatchObject({ code: '01000', routine: 'exec_stmt_raise' });
  });
});
