/** Whether there are connections enough: those refused at the login, and those that will be. */

import type { DatabaseLogin } from '../../config.js';
import { type Finding, fail, ok, sqlName, warn } from './finding.js';

/** The finding for a login that was refused because there were too many, by who refused. */
export function connectionsVerdict(routine: string | undefined, login: DatabaseLogin): Finding {
  if (routine === 'InitializeSessionUserId') {
    return fail(
      'login',
      `the role ${login.user} has all the connections that it may have`,
      'Lower POSTGRES_MAX_CONN, run fewer servers, or lift its limit as an administrator:',
      `alter role ${sqlName(login.user)} connection limit -1;`,
    );
  }
  if (routine === 'CheckMyDatabase') {
    return fail(
      'login',
      `the database ${login.database} has all the connections that it may have`,
      'Lower POSTGRES_MAX_CONN, run fewer servers, or lift its limit as an administrator:',
      `alter database ${sqlName(login.database)} connection limit -1;`,
    );
  }
  return fail(
    'login',
    'the server has no free connection',
    'Lower POSTGRES_MAX_CONN of each server or raise max_connections, which takes a restart. ' +
      'The first line shows who holds them.',
    'select usename, application_name, count(*) from pg_stat_activity group by 1, 2 order by 3 ' +
      'desc;',
    'alter system set max_connections = 200;',
  );
}

/** The numbers of connections that bear on a service. */
export interface ConnectionFacts {
  /** In use now, by everybody. */
  readonly used: number;
  /** What ordinary roles may use of the server. */
  readonly available: number;
  /** Limits of the role and the database; -1: none. */
  readonly roleMax: number;
  readonly databaseMax: number;
}

/** Of the connections there are, how many may be in use before a warning. */
const fullShare = 0.9;

/** The check `connections`. @param wanted of the service; undefined: a pooler decides. */
export function connectionRoomVerdict(
  facts: ConnectionFacts,
  login: Pick<DatabaseLogin, 'user' | 'database'>,
  wanted: number | undefined,
): Finding {
  const { used, available, roleMax, databaseMax } = facts;
  if (wanted !== undefined && wanted > available) {
    return warn(
      'connections',
      `POSTGRES_MAX_CONN is ${wanted}, but the server has ${available} connections to give`,
      'Calls would fail under load. Lower POSTGRES_MAX_CONN (it counts for each server process) ' +
        'or raise max_connections, which takes a restart:',
      `POSTGRES_MAX_CONN=${Math.max(4, Math.floor(available / 2))}`,
      `alter system set max_connections = ${wanted * 3};`,
    );
  }
  const limits = [
    { max: roleMax, what: `role ${sqlName(login.user)}` },
    { max: databaseMax, what: `database ${sqlName(login.database)}` },
  ];
  const low = limits.find(({ max }) => max >= 0 && max < (wanted ?? 0));
  if (wanted !== undefined && low !== undefined) {
    return warn(
      'connections',
      `POSTGRES_MAX_CONN is ${wanted}, but the ${low.what} has a limit of ${low.max}`,
      'Calls would fail under load. Lower POSTGRES_MAX_CONN or lift the limit:',
      `alter ${low.what} connection limit -1;`,
    );
  }
  const takes = wanted === undefined ? 'the pooler says how many' : `up to ${wanted} a process`;
  const seen = `${used} of ${available} in use; this service takes ${takes}`;
  if (used < available * fullShare) return ok('connections', seen);
  return warn(
    'connections',
    seen,
    'The server is nearly full. This shows who holds them; to raise max_connections takes a ' +
      'restart:',
    'select usename, application_name, count(*) from pg_stat_activity group by 1, 2 order by 3 ' +
      'desc;',
  );
}
