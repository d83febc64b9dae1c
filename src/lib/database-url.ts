/**
 * Reads a PostgreSQL connection URL in libpq's multi-host form. Touches no file and no network;
 * refuses parameters it does not know instead of dropping them silently.
 */

/** Where one node listens. */
export interface DatabaseNode {
  readonly host: string;
  readonly port: number;
}

/** libpq's words for transport security, without `allow` and `prefer`, which promise nothing. */
export type SslMode = 'disable' | 'require' | 'verify-ca' | 'verify-full';

/** What a connection URL says; undefined is left open by it. */
export interface DatabaseTarget {
  readonly nodes: readonly DatabaseNode[];
  readonly database: string | undefined;
  readonly user: string | undefined;
  readonly password: string | undefined;
  readonly sslMode: SslMode | undefined;
  /** The path of a PEM file. */
  readonly sslRootCert: string | undefined;
}

const sslModes: readonly string[] = ['disable', 'require', 'verify-ca', 'verify-full'];
const form = /^postgres(?:ql)?:\/\/(?:([^@/?]*)@)?([^/?]*)(?:\/([^?]*))?(?:\?(.*))?$/;

/**
 * Parses `postgres://user:password@h1:5432,h2,[::1]:5433/db?sslmode=require`. Parts are
 * percent-decoded; a missing port is 5432.
 * @throws Error with a sentence that never repeats the URL, which may hold a password
 */
export function parseDatabaseUrl(url: string): DatabaseTarget {
  const match = form.exec(url);
  if (match === null) {
    throw new Error('must look like postgres://user:password@host:port,host:port/database');
  }
  const [, userInfo = '', hosts = '', database = '', query = ''] = match;
  // Else a part of the password would be taken for the database, or a parameter, and be shown.
  if (`${database}${query}`.includes('@')) {
    throw new Error(
      'has an @ behind its hosts; write %2F, %3F and %40 for /, ? and @ in a password',
    );
  }
  const colon = userInfo.indexOf(':');
  const user = colon === -1 ? userInfo : userInfo.slice(0, colon);
  return {
    nodes: parseNodes(hosts, 5432),
    user: decode(user) || undefined,
    password: colon === -1 ? undefined : decode(userInfo.slice(colon + 1)),
    database: decode(database) || undefined,
    ...parseQuery(query),
  };
}

/**
 * Parses a comma list of `host`, `host:port` or `[ipv6]:port`.
 * @throws Error when a host is empty or a port is none
 */
export function parseNodes(list: string, portDefault: number): readonly DatabaseNode[] {
  return list.split(',').map((item) => {
    const match = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d{1,5}))?$/.exec(item.trim());
    const host = match?.[1] ?? match?.[2];
    const port = match?.[3] === undefined ? portDefault : Number(match[3]);
    if (host === undefined || port < 1 || port > 65_535) {
      throw new Error('each host must be host, host:port or [ipv6]:port, separated by commas');
    }
    return { host: decode(host), port };
  });
}

function parseQuery(query: string): Pick<DatabaseTarget, 'sslMode' | 'sslRootCert'> {
  let sslMode: SslMode | undefined;
  let sslRootCert: string | undefined;
  for (const [name, value] of new URLSearchParams(query)) {
    if (name === 'sslmode' && sslModes.includes(value)) {
      sslMode = value as SslMode;
    } else if (name === 'sslmode') {
      throw new Error(`sslmode must be one of ${sslModes.join(', ')}`);
    } else if (name === 'sslrootcert') {
      sslRootCert = value;
    } else {
      throw new Error(`parameter ${name} is not known; sslmode and sslrootcert are`);
    }
  }
  return { sslMode, sslRootCert };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new Error('has a percent sign that begins no percent-encoding; write %25');
  }
}
