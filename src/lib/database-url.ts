/**
 * Reads a PostgreSQL connection URL in libpq's multi-host form, and the forms that people paste
 * from other tools. Touches no file and no network; what it cannot take it explains by name instead
 * of dropping it silently, and never repeats a value, which may be a password.
 */

import { parseParameters, type UrlParameters } from './database-url-parameters.js';

/** Where one node listens. */
export interface DatabaseNode {
  readonly host: string;
  readonly port: number;
}

/** What a connection URL says; undefined is left open by it. */
export interface DatabaseTarget extends UrlParameters {
  readonly nodes: readonly DatabaseNode[];
  readonly database: string | undefined;
  readonly user: string | undefined;
  readonly password: string | undefined;
}

/** `+asyncpg`, `+psycopg2` and so on name a driver of SQLAlchemy: nothing that a server knows. */
const scheme = /^postgres(?:ql)?(?:\+[a-z0-9_]{1,32})?:\/\//i;
const form = /^(?:([^@/?]*)@)?([^/?]*)(?:\/([^?]*))?(?:\?(.*))?$/;

/** Beginnings of what is pasted instead of a URL; the first that fits is told. */
const explanations: readonly (readonly [RegExp, string])[] = [
  [/^["'`]|["'`]$/, 'has a quote at one end only; leave quotes out'],
  [/^(?:export\s+)?[A-Z_]+=/, 'repeats the name of a variable; begin with postgres://'],
  [/^psql\s/, 'is a command line of psql; give its URL alone'],
  [
    /^jdbc:/i,
    'is a JDBC address; leave jdbc: out and put the login before the host: ' +
      'postgres://user:password@host:port/database',
  ],
  [
    /^prisma(?:\+postgres)?:/i,
    'is the address of a proxy of Prisma; give the postgres:// address of the database itself',
  ],
  [/^\w+\s*=/, 'is in the form key=value; write postgres://user:password@host:port/database'],
];

/**
 * Parses `postgres://user:password@h1:5432,h2,[::1]:5433/db?sslmode=require`. Parts are
 * percent-decoded; a missing port is 5432. White space and a pair of quotes around it are left out,
 * as is the driver's name in `postgresql+asyncpg://`.
 * @throws Error with a sentence that never repeats the URL, which may hold a password
 */
export function parseDatabaseUrl(given: string): DatabaseTarget {
  const url = given.trim().replace(/^(["'`])(.*)\1$/s, '$2');
  const match = scheme.test(url) ? form.exec(url.replace(scheme, '')) : null;
  if (match === null) {
    const explained = explanations.find(([begins]) => begins.test(url));
    throw new Error(
      explained?.[1] ?? 'must look like postgres://user:password@host:port,host:port/database',
    );
  }
  const [, userInfo = '', hosts = '', database = '', query = ''] = match;
  // Else a part of the password would be taken for a host, the database or a parameter, and shown.
  if (`${hosts}${database}${query}`.includes('@')) {
    throw new Error('has a second @; write %40, %2F and %3F for @, / and ? in a password');
  }
  if (hosts === '') {
    throw new Error('names no host; PostgreSQL is reached over TCP: write 127.0.0.1 for this one');
  }
  const colon = userInfo.indexOf(':');
  const user = colon === -1 ? userInfo : userInfo.slice(0, colon);
  return {
    nodes: parseNodes(hosts, 5432),
    user: decode(user) || undefined,
    password: colon === -1 ? undefined : filledIn(decode(userInfo.slice(colon + 1))),
    database: decode(database) || undefined,
    ...parseParameters(query),
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

/**
 * Parses a file of nodes: the same, separated by commas or line ends; empty lines and those that
 * begin with # count for nothing.
 * @throws Error when there is no node, one stands there twice, or is none
 */
export function parseNodesFile(text: string, portDefault: number): readonly DatabaseNode[] {
  const lines = text.split(/\r?\n/).filter((line) => !line.trim().startsWith('#'));
  const items = lines.flatMap((line) => line.split(',')).filter((item) => item.trim() !== '');
  if (items.length === 0) throw new Error('names no node; write host or host:port a line');
  const nodes = parseNodes(items.join(','), portDefault);
  const addresses = new Set(nodes.map(({ host, port }) => `${host} ${port}`));
  if (addresses.size < nodes.length) throw new Error('names a node twice');
  return nodes;
}

/** Consoles of providers show `[YOUR-PASSWORD]` or stars, and no shell fills in a `${...}` here. */
const placeholder = /^(?:\[?your[-_ ]?password\]?|<[^>]*>|[*•]+|\$\{[^}]*\}|\$\([^)]*\))$/i;

function filledIn(password: string): string {
  if (placeholder.test(password)) {
    throw new Error('has a placeholder where its password should be; put the password there');
  }
  return password;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new Error('has a percent sign that begins no percent-encoding; write %25');
  }
}
