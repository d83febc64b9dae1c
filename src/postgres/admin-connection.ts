/**
 * A connection of the schema's owner to the primary, for migrations and maintenance: outside the
 * router, because it needs a session (locks that outlive a transaction), which no pooler keeps.
 */

import { readFile } from 'node:fs/promises';
import { Client } from 'pg';
import type { DatabaseLogin } from '../config.js';
import { StowageError } from '../errors.js';
import { type DatabaseTarget, parseDatabaseUrl } from '../lib/database-url.js';
import { settlesWithin } from '../lib/interruption.js';
import { asDriverClient, destroyClient, KEEPALIVE_DELAY_MS } from './driver.js';

const CONNECT_TIMEOUT_MS = 10_000;
/** A node that has fallen silent answers no farewell. */
const END_WAIT_MS = 2_000;

/** A database as its owner reaches it: a URL in the form of `DATABASE_URL`, or settings. */
export type AdminDatabase = string | DatabaseLogin;

/** A connection of the schema's owner to the primary. */
export interface AdminConnection {
  readonly client: Client;
  /** Ends it, also where its node has fallen silent. Never rejects. */
  close(): Promise<void>;
}

/**
 * Connects to the primary among the database's nodes, which are asked in order, each for at most
 * its connect timeout, 10 s for a URL.
 * @throws StowageError INVALID_REQUEST where the URL is none, NO_PRIMARY.
 */
export async function openAdminConnection(database: AdminDatabase): Promise<AdminConnection> {
  const client = await connectToPrimary(
    typeof database === 'string' ? await readUrl(database) : database,
  );
  return {
    client,
    async close() {
      if (!(await settlesWithin(client.end(), END_WAIT_MS))) destroyClient(asDriverClient(client));
    },
  };
}

/**
 * Runs `body` with a connection of {@link openAdminConnection}, which ends with the body.
 * @throws StowageError as that; and what `body` throws.
 */
export async function withAdminConnection<T>(
  database: AdminDatabase,
  body: (client: Client) => Promise<T>,
): Promise<T> {
  const { client, close } = await openAdminConnection(database);
  try {
    return await body(client);
  } finally {
    await close();
  }
}

async function readUrl(url: string): Promise<DatabaseLogin> {
  try {
    const { nodes, database, user, password, ...transport } = parseDatabaseUrl(url);
    return {
      nodes,
      database: database ?? 'stowage',
      user: user ?? 'postgres',
      password,
      tls: await readTls(transport),
      connectTimeoutMs: transport.connectTimeoutMs ?? CONNECT_TIMEOUT_MS,
    };
  } catch (error) {
    throw new StowageError('INVALID_REQUEST', {
      message: `The database URL ${messageOf(error)}.`,
      cause: error,
    });
  }
}

/** As the service reads it: `require` without a root certificate checks nobody, as in libpq. */
async function readTls({
  sslMode = 'disable',
  sslRootCert,
}: Pick<DatabaseTarget, 'sslMode' | 'sslRootCert'>): Promise<DatabaseLogin['tls']> {
  if (sslMode === 'disable') return false;
  const ca = sslRootCert === undefined ? undefined : await readFile(sslRootCert, 'utf8');
  return { ca, rejectUnauthorized: sslMode !== 'require' || ca !== undefined };
}

async function connectToPrimary(connection: DatabaseLogin): Promise<Client> {
  const failures: unknown[] = [];
  for (const node of connection.nodes) {
    const client = clientOf(connection, node);
    try {
      await client.connect();
      const why = await whyNot(client);
      if (why === undefined) return client;
      failures.push(new Error(`${node.host}:${node.port} is ${why}`));
    } catch (error) {
      failures.push(error);
    }
    await client.end();
  }
  throw new StowageError('NO_PRIMARY', {
    message:
      `No primary answered: ${failures.map(messageOf).join('; ')}. ` +
      'STOWAGE_ADMIN_URL names the database and its owner; `npm start` tells its own.',
    cause: new AggregateError(failures, 'no primary answered'),
  });
}

function clientOf(connection: DatabaseLogin, node: DatabaseLogin['nodes'][number]): Client {
  const { database, user, password, tls } = connection;
  const client = new Client({
    host: node.host,
    port: node.port,
    database,
    user,
    // A function, for the driver would fill a missing password from its own environment variables.
    password: () => password ?? '',
    ssl: tls && { rejectUnauthorized: tls.rejectUnauthorized, ...(tls.ca && { ca: tls.ca }) },
    connectionTimeoutMillis: connection.connectTimeoutMs,
    application_name: 'stowage admin',
    keepAlive: true,
    // Maintenance is silent for hours: only this tells it that its node's machine has died.
    keepAliveInitialDelayMillis: KEEPALIVE_DELAY_MS,
  });
  // A lost connection also fails the statement that runs on it, and that is where it is told.
  client.on('error', () => undefined);
  return client;
}

/**
 * Why the work cannot be done on it; undefined: it can. A pooler gives each client a number of its
 * own where PostgreSQL gives the backend's process id.
 */
async function whyNot(client: Client): Promise<string | undefined> {
  const answer = await client.query<{ standby: boolean; pid: number }>(
    'select pg_is_in_recovery() as standby, pg_backend_pid() as pid',
  );
  const [row] = answer.rows;
  if (row?.pid !== asDriverClient(client).processID) {
    return 'a pooler, which keeps no session for the locks: name the node itself';
  }
  return row.standby ? 'a standby' : undefined;
}

/** Node reports a refused connection to a host of several addresses without a message. */
function messageOf(failure: unknown): string {
  if (failure instanceof AggregateError && failure.message === '') {
    return failure.errors.map(messageOf).join(', ');
  }
  return failure instanceof Error ? failure.message : String(failure);
}
