/**
 * A connection of the schema's owner to the primary, for migrations and maintenance: outside the
 * router, because it needs a session (locks that outlive a transaction), which no pooler keeps.
 */

import { Client } from 'pg';
import { StowageError } from '../errors.js';

const CONNECT_TIMEOUT_MS = 10_000;

/**
 * Splits a URL of several hosts, as libpq takes it, into one URL a host.
 * @throws StowageError INVALID_REQUEST where it is no PostgreSQL URL; the URL is not repeated, for
 *   it may have a password.
 */
export function hostUrls(databaseUrl: string): readonly string[] {
  const match = /^(postgres(?:ql)?:\/\/)([^/?#]*@)?([^/?#@]*)([/?#].*)?$/.exec(databaseUrl);
  if (!match) {
    throw new StowageError('INVALID_REQUEST', {
      message:
        'The database URL does not have the form postgres://user:password@host:port/database.',
    });
  }
  const [, scheme = '', credentials = '', hosts = '', rest = ''] = match;
  return hosts.split(',').map((host) => `${scheme}${credentials}${host}${rest}`);
}

/**
 * Runs `body` with a connection to the primary among the URL's hosts, which are asked in order, each
 * for at most 10 s. The connection ends with the body.
 * @throws StowageError INVALID_REQUEST, NO_PRIMARY; and whatever `body` throws.
 */
export async function withAdminConnection<T>(
  databaseUrl: string,
  body: (client: Client) => Promise<T>,
): Promise<T> {
  const client = await connectToPrimary(hostUrls(databaseUrl));
  try {
    return await body(client);
  } finally {
    await client.end();
  }
}

async function connectToPrimary(urls: readonly string[]): Promise<Client> {
  const failures: unknown[] = [];
  for (const url of urls) {
    try {
      const client = await connect(url);
      if (await isPrimary(client)) return client;
      await client.end();
      failures.push(new Error(`${client.host}:${client.port} is a standby`));
    } catch (error) {
      failures.push(error);
    }
  }
  const reasons = failures.map((failure) => sentenceOf(failure)).join('; ');
  throw new StowageError('NO_PRIMARY', {
    message: `No primary answered: ${reasons}.`,
    cause: new AggregateError(failures, 'no primary answered'),
  });
}

async function connect(url: string): Promise<Client> {
  const client = new Client({
    connectionString: url,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    application_name: 'stowage migrate',
    keepAlive: true,
  });
  // A lost connection also fails the statement that runs on it, and that is where it is told.
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

async function isPrimary(client: Client): Promise<boolean> {
  const answer = await client.query<{ standby: boolean }>('select pg_is_in_recovery() as standby');
  return answer.rows[0]?.standby === false;
}

/** Node reports a refused connection of a host with several addresses without any message. */
function sentenceOf(failure: unknown): string {
  if (failure instanceof AggregateError && failure.message === '') {
    return failure.errors.map((error) => sentenceOf(error)).join(', ');
  }
  return failure instanceof Error ? failure.message : String(failure);
}
