/**
 * Makes the login of the service: a member of stowage_service that owns nothing. The server is sent
 * a SCRAM verifier, never the password, which would stand in its log and its statistics. And lets a
 * login see those statistics.
 */

import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';
import type { Client } from 'pg';
import { StowageError } from '../errors.js';
import { type AdminDatabase, withAdminConnection } from './admin-connection.js';

const ITERATIONS = 4096;
const ATTEMPTS_MAX = 5;
/**
 * duplicate_object, unique_violation and "tuple concurrently updated": another process makes or
 * changes the role at this moment. Roles belong to the cluster and advisory locks to a database, so
 * a lock could not keep them apart.
 */
const RACES: ReadonlySet<unknown> = new Set(['42710', '23505', 'XX000']);

/** The service's login. */
export interface ServiceLogin {
  readonly user: string;
  /** Printable ASCII: what lies beyond is prepared differently by different clients. */
  readonly password: string;
}

/**
 * Makes the login, or sets its password and membership where it is there. The schema must have
 * been migrated: that makes stowage_service.
 * @throws StowageError INVALID_REQUEST where the password is not printable ASCII; NO_PRIMARY.
 *   Errors of PostgreSQL come as they are.
 */
export async function createServiceLogin(
  database: AdminDatabase,
  login: ServiceLogin,
): Promise<void> {
  if (!/^[\x20-\x7e]+$/.test(login.password)) {
    throw new StowageError('INVALID_REQUEST', {
      message: 'The service password must be printable ASCII and not empty.',
    });
  }
  const verifier = scramVerifier(login.password);
  await withAdminConnection(database, async (client) => {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await makeRole(client, login.user, verifier);
      } catch (error) {
        const raced = error instanceof Error && 'code' in error && RACES.has(error.code);
        if (!raced || attempt === ATTEMPTS_MAX) throw error;
      }
    }
  });
}

/**
 * Lets a login see what other sessions do, and makes the extension that counts statements, where
 * the server has its files. For a database of one's own: elsewhere it is for the operator to say
 * whether the service may see what other programs send.
 * @throws errors of PostgreSQL, as they are.
 */
export async function showStatistics(database: AdminDatabase, user: string): Promise<void> {
  await withAdminConnection(database, async (client) => {
    const wanted = await client.query<{ statement: string }>(
      `select format('grant pg_read_all_stats to %I', $1::text) as statement
       union all
       select 'create extension if not exists pg_stat_statements schema public'
       from pg_available_extensions where name = 'pg_stat_statements'`,
      [user],
    );
    for (const { statement } of wanted.rows) await client.query(statement);
  });
}

/** Utility statements take no parameters: the server itself quotes what they are made of. */
async function makeRole(client: Client, user: string, verifier: string): Promise<void> {
  const wanted = await client.query<{ role: string; membership: string }>(
    `select
       format(case when exists (select from pg_roles where rolname = $1)
                then 'alter role %I login password %L'
                else 'create role %I login password %L' end, $1::text, $2::text) as role,
       format('grant stowage_service to %I', $1::text) as membership`,
    [user, verifier],
  );
  const [statements] = wanted.rows;
  if (!statements) throw new Error('the server gave no statements');
  await client.query(statements.role);
  await client.query(statements.membership);
}

/** What PostgreSQL keeps of a password (RFC 5803); the password cannot be had from it. */
function scramVerifier(password: string): string {
  const salt = randomBytes(16);
  const salted = pbkdf2Sync(password, salt, ITERATIONS, 32, 'sha256');
  const clientKey = createHmac('sha256', salted).update('Client Key').digest();
  const storedKey = createHash('sha256').update(clientKey).digest('base64');
  const serverKey = createHmac('sha256', salted).update('Server Key').digest('base64');
  return `SCRAM-SHA-256$${ITERATIONS}:${salt.toString('base64')}$${storedKey}:${serverKey}`;
}
