/** Databases of a test's own in the cluster that all test files share. */

import { randomBytes } from 'node:crypto';
import { Client, type QueryResultRow } from 'pg';
import { migrateUp } from '../../src/postgres/migrate.js';
import { createServiceLogin } from '../../src/postgres/service-login.js';

/** A connection that a test speaks SQL through. */
export interface TestConnection {
  /** Runs one statement and gives its rows. */
  query<Row extends QueryResultRow = Record<string, unknown>>(
    text: string,
    values?: readonly unknown[],
  ): Promise<Row[]>;
  end(): Promise<void>;
}

/** A database that is dropped at the end of the test. */
export interface TestDatabase extends AsyncDisposable {
  readonly name: string;
  /** As the superuser, who is the owner here. */
  readonly url: string;
  /** As a member of stowage_service; undefined in a database that was not migrated. */
  readonly serviceUrl: string | undefined;
  /** Connects as the superuser, or by another URL; ends with the database. */
  connect(url?: string): Promise<TestConnection>;
  drop(): Promise<void>;
}

/** What migrated databases are copied from, where it is there: migrating takes half a second. */
const TEMPLATE = 'stowage_template';

/** Migrates the database that those of the tests are copied from. */
export async function createTemplate(clusterUrl: string): Promise<void> {
  const maker = await openConnection(clusterUrl);
  await maker.query(`create database ${TEMPLATE}`);
  await migrateUp({ database: atDatabase(clusterUrl, TEMPLATE) });
  await maker.end();
}

async function hasTemplate(maker: TestConnection): Promise<boolean> {
  const rows = await maker.query('select from pg_database where datname = $1', [TEMPLATE]);
  return rows.length > 0;
}

/** Makes a database beside that of `clusterUrl`; by default migrated and with a service login. */
export async function createTestDatabase(
  clusterUrl: string,
  options: { readonly migrate?: boolean } = {},
): Promise<TestDatabase> {
  const { migrate = true } = options;
  const name = `test_${randomBytes(6).toString('hex')}`;
  const url = atDatabase(clusterUrl, name);
  const maker = await openConnection(clusterUrl);
  const isCopied = migrate && (await hasTemplate(maker));
  await maker.query(`create database ${name}${isCopied ? ` template ${TEMPLATE}` : ''}`);
  const login = { user: `${name}_service`, password: randomBytes(12).toString('hex') };
  if (migrate && !isCopied) await migrateUp({ database: url });
  if (migrate) await createServiceLogin(url, login);
  const connections: TestConnection[] = [];
  const drop = async (): Promise<void> => {
    await Promise.all(connections.splice(0).map((connection) => connection.end()));
    await maker.query(`drop database if exists ${name} with (force)`);
    await maker.query(`drop role if exists ${login.user}`);
    await maker.end();
  };
  return {
    name,
    url,
    serviceUrl: migrate ? asLogin(url, login) : undefined,
    async connect(other = url) {
      const connection = await openConnection(other);
      connections.push(connection);
      return connection;
    },
    drop,
    [Symbol.asyncDispose]: drop,
  };
}

/** The URL of another database of the same server. */
export function atDatabase(url: string, database: string): string {
  const other = new URL(url);
  other.pathname = `/${database}`;
  return other.href;
}

/** The URL of the same database for another login. */
export function asLogin(url: string, login: { user: string; password: string }): string {
  const other = new URL(url);
  other.username = login.user;
  other.password = login.password;
  return other.href;
}

/** Connects by any URL; who calls it ends the connection. */
export async function openConnection(url: string): Promise<TestConnection> {
  const client = new Client({ connectionString: url });
  // Databases are dropped with force: what is connected is told so, and nobody minds.
  client.on('error', () => undefined);
  await client.connect();
  return {
    async query<Row extends QueryResultRow>(text: string, values: readonly unknown[] = []) {
      const result = await client.query<Row>(text, [...values]);
      return result.rows;
    },
    end: () => client.end(),
  };
}
