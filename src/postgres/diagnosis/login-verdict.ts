/**
 * Why a login failed, told by SQLSTATE and by the server's function that refused: unlike the
 * message these are in no language.
 */

import type { DatabaseLogin } from '../../config.js';
import { isServerError, type NodeAddress } from '../driver.js';
import { connectionsVerdict } from './connections-verdict.js';
import { certificateVerdict, isTlsCode } from './contact-verdict.js';
import { addressOf, type Finding, fail, migrateCommandLine, sqlName } from './finding.js';
import { poolerRefusal } from './pooler-verdict.js';

/** What an administrator's connection knows of the login. */
export interface AdminView {
  readonly hasRole: boolean;
  readonly mayLogin: boolean;
  readonly isExpired: boolean;
}

/** What a failed login is judged by. */
export interface LoginAttempt {
  /** Whose login it is. */
  readonly purpose: 'service' | 'migrator';
  readonly node: NodeAddress;
  readonly login: DatabaseLogin & { readonly pooler?: string };
  /** The setting that the password came from; undefined: there was none. */
  readonly passwordSource: string | undefined;
  readonly offersTls: boolean;
  readonly localAddress: string | undefined;
  /** Undefined where no administrator could be asked. */
  readonly admin: AdminView | undefined;
}

/** The finding for a login that failed: mostly of the check `login`, or of `tls`. */
export function loginVerdict(error: unknown, attempt: LoginAttempt): Finding {
  if (isServerError(error)) return serverVerdict(error, attempt);
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const message = error instanceof Error ? error.message : String(error);
  if (isTlsCode(code)) return certificateVerdict(attempt.node, code);
  // The driver has no code for it: it will not prove an empty password.
  if (message.includes('password must be a')) return noPassword(attempt);
  if (message === 'timeout expired') {
    return fail(
      'login',
      `the login is not done within ${attempt.login.connectTimeoutMs} ms`,
      'The server is too busy to start a session: look at its log and at what its machine does.',
    );
  }
  return fail(
    'login',
    `the connection ended during the login (${code || message})`,
    "Look at the server's log. A pooler or a firewall between may have ended it: name the " +
      'PostgreSQL nodes themselves.',
  );
}

interface ServerError {
  readonly code?: string | undefined;
  readonly routine?: string | undefined;
  readonly message: string;
}

function serverVerdict(error: ServerError, attempt: LoginAttempt): Finding {
  const { login, node } = attempt;
  switch (error.code) {
    case '28P01':
      return attempt.passwordSource === undefined ? noPassword(attempt) : badPassword(attempt);
    case '28000':
      return error.routine === 'InitializeSessionUserId'
        ? (roleTrouble(attempt) ?? noLogin(attempt))
        : notLetIn(attempt);
    case '3D000':
      return fail(
        'login',
        `there is no database ${login.database}`,
        'Make it as an administrator, then make its tables. PostgreSQL 15 and 16 have no ' +
          'locale_provider builtin: leave it and builtin_locale out there.',
        `create database ${sqlName(login.database)} encoding 'UTF8' template template0 ` +
          "locale_provider builtin builtin_locale 'C.UTF-8' lc_collate 'C' lc_ctype 'C.UTF-8';",
        migrateCommandLine(node, login.database),
      );
    case '42501':
      return fail(
        'login',
        `the role ${login.user} may not connect to the database ${login.database}`,
        'Let it, as the owner of the database:',
        `grant connect on database ${sqlName(login.database)} to ${sqlName(login.user)};`,
      );
    case '08P01':
      return poolerRefusal(error.message, login);
    case '53300':
      return connectionsVerdict(error.routine, login);
    case '57P03':
      return fail(
        'login',
        'the server is starting, stopping or recovering and lets nobody in yet',
        'Wait for it; its log says how far it is. A standby also needs hot_standby = on.',
      );
    default:
      return fail(
        'login',
        `the server refuses: ${error.message} (${error.code ?? 'no code'})`,
        "The server's log has more; the code is explained in Appendix A of PostgreSQL's manual.",
      );
  }
}

function noPassword({ login, node, purpose }: LoginAttempt): Finding {
  const places =
    purpose === 'migrator'
      ? 'STOWAGE_ADMIN_URL'
      : 'DATABASE_URL, POSTGRES_PASSWORD or the file that POSTGRES_PASSWORD_FILE names';
  return fail(
    'login',
    `the server asks ${login.user} for a password, and none is set`,
    `Put it into ${places}, or this line into the file that PGPASSFILE names:`,
    `${node.host.replace(/[\\:]/g, '\\$&')}:${node.port}:${login.database}:${login.user}:...`,
  );
}

function badPassword(attempt: LoginAttempt): Finding {
  const { login, passwordSource, admin } = attempt;
  const trouble = roleTrouble(attempt);
  if (trouble !== undefined) return trouble;
  const seen = `the server refuses the password of the role ${login.user}`;
  const alter = `alter role ${sqlName(login.user)} password '...';`;
  if (admin !== undefined) {
    return fail(
      'login',
      seen,
      `Mend ${passwordSource}, or set the password as an administrator:`,
      alter,
    );
  }
  return fail(
    'login',
    seen,
    `The password of ${passwordSource} is wrong, or there is no such role: PostgreSQL does not ` +
      `tell which. Mend ${passwordSource}, or as an administrator set the password or make the ` +
      'role:',
    alter,
    createRole(attempt),
  );
}

/** What an administrator sees to be wrong with the role; undefined: nothing. */
function roleTrouble(attempt: LoginAttempt): Finding | undefined {
  const { login, admin } = attempt;
  const role = sqlName(login.user);
  if (admin === undefined) return undefined;
  if (!admin.hasRole) return noRole(attempt);
  if (!admin.mayLogin) {
    return fail(
      'login',
      `the role ${login.user} may not log in`,
      'Let it, as an administrator:',
      `alter role ${role} login;`,
    );
  }
  if (!admin.isExpired) return undefined;
  return fail(
    'login',
    `the password of the role ${login.user} has expired`,
    'Set another one, as an administrator:',
    `alter role ${role} password '...' valid until 'infinity';`,
  );
}

function noRole(attempt: LoginAttempt): Finding {
  return fail(
    'login',
    `there is no role ${attempt.login.user}`,
    'Make it, as an administrator:',
    createRole(attempt),
  );
}

/** Without a password the server does tell that it is the role, but not whether it is there. */
function noLogin(attempt: LoginAttempt): Finding {
  const { user } = attempt.login;
  return fail(
    'login',
    `there is no role ${user} that may log in`,
    'Make it, or let it log in if it is there, as an administrator:',
    createRole(attempt),
    `alter role ${sqlName(user)} login;`,
  );
}

function createRole({ login, purpose }: LoginAttempt): string {
  const role = sqlName(login.user);
  return purpose === 'migrator'
    ? `create role ${role} login createrole password '...';`
    : `create role ${role} login password '...' in role stowage_service;`;
}

/** `pg_hba.conf` has no line for us, or one that rejects. */
function notLetIn({ login, node, offersTls, localAddress }: LoginAttempt): Finding {
  const plain = login.tls === false;
  const address = localAddress ?? '127.0.0.1';
  const type = plain ? 'host' : 'hostssl';
  const mask = address.includes(':') ? '/128' : '/32';
  const line = `${type}  ${login.database}  ${login.user}  ${address}${mask}  scram-sha-256`;
  const ask =
    plain && offersTls
      ? 'The server offers TLS and may insist on it: try ?sslmode=verify-full in the URL. Else '
      : '';
  const say =
    `${ask}let it in: this line in pg_hba.conf, with this machine's address as the ` +
    'server sees it, then reload:';
  return fail(
    'login',
    `pg_hba.conf of ${addressOf(node)} does not let ${login.user} into ${login.database} ` +
      `${plain ? 'without' : 'with'} TLS`,
    say.charAt(0).toUpperCase() + say.slice(1),
    line,
    'select pg_reload_conf();',
  );
}
