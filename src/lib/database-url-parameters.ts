/**
 * The parameters behind the question mark of a connection URL. Takes those that mean something
 * here; explains those of other tools by name; never repeats a value, which may be a secret.
 */

/** libpq's words for transport security, without `allow` and `prefer`, which promise nothing. */
export type SslMode = 'disable' | 'require' | 'verify-ca' | 'verify-full';

/** What stands before each node: nothing, or a pooler whose sessions last one transaction. */
export const poolers = ['none', 'transaction'] as const;
export type Pooler = (typeof poolers)[number];

/** What the parameters say; undefined is left open by them. */
export interface UrlParameters {
  readonly sslMode: SslMode | undefined;
  /** The path of a PEM file; undefined also for `system`, which are the roots that Node trusts. */
  readonly sslRootCert: string | undefined;
  readonly connectTimeoutMs: number | undefined;
  readonly pooler: Pooler | undefined;
}

const sslModes: readonly string[] = ['disable', 'require', 'verify-ca', 'verify-full'];

const leaveOut = (why: string): string => `is not needed: ${why}; leave it out`;
const poolSize = 'is not known here; set POSTGRES_MAX_CONN instead';
const elsewhere = 'belongs before the question mark: postgres://user:password@host:port/database';
const noCertificate = 'is not known here: the login is by password; leave it out';

/** Parameters of other tools, by their names in lower case. */
const explanations: Readonly<Record<string, string>> = {
  application_name: leaveOut('each session is named after the call that it serves'),
  fallback_application_name: leaveOut('each session is named after the call that it serves'),
  client_encoding: leaveOut('the encoding is always UTF-8'),
  charset: leaveOut('the encoding is always UTF-8'),
  keepalives: leaveOut('connections are always kept alive'),
  keepalives_idle: leaveOut('connections are always kept alive'),
  load_balance_hosts: leaveOut('reads are spread over the standbys that are fresh enough'),
  pgbouncer: 'is of Prisma; write pooler=transaction, and one pooler before each PostgreSQL node',
  prepared_statement_cache_size: leaveOut('it is of asyncpg'),
  async_fallback: leaveOut('it is of SQLAlchemy'),
  pool_size: poolSize,
  max_overflow: poolSize,
  pool_max_conns: poolSize,
  connection_limit: poolSize,
  pool_timeout: 'is not known here; set STOWAGE_QUEUE_TIMEOUT_MS instead',
  statement_timeout: leaveOut('each call has its own deadline'),
  search_path: leaveOut('the tables are in the schema public'),
  currentschema: leaveOut('the tables are in the schema public'),
  options: leaveOut('the service makes the settings of its sessions itself'),
  host: elsewhere,
  port: elsewhere,
  user: elsewhere,
  password: elsewhere,
  dbname: elsewhere,
  passfile: 'is not known here; set PGPASSFILE instead',
  service: 'is not known here; write the hosts and the database into the URL',
  sslcert: noCertificate,
  sslkey: noCertificate,
  sslpassword: noCertificate,
  sslcrl: 'is not known here; leave it out',
  sslnegotiation: 'is not known here: TLS is always asked for first; leave it out',
};

/** Values that ask for what is so anyway; another value of the same name is explained. */
const fulfilled: Readonly<Record<string, { readonly values: RegExp; readonly else: string }>> = {
  target_session_attrs: {
    values: /^(?:any|read-write|primary)$/,
    else: leaveOut('writes go to the primary and reads to a standby that is fresh enough'),
  },
  schema: { values: /^public$/, else: leaveOut('the tables are in the schema public') },
  gssencmode: { values: /^(?:disable|prefer)$/, else: 'is not known here; TLS is: sslmode' },
};

/**
 * Reads a query string. `ssl=true` is sslmode=require, as libpq has it; `connect_timeout` counts
 * whole seconds.
 * @throws Error with a sentence that names the parameter and repeats no value
 */
export function parseParameters(query: string): UrlParameters {
  // A plus is a plus, as libpq has it: only forms of web pages write spaces so.
  const given = new Map(new URLSearchParams(query.replaceAll('+', '%2B')));
  const take = (name: string): string | undefined => {
    const value = given.get(name);
    given.delete(name);
    return value;
  };
  const rootCert = take('sslrootcert');
  const sslMode = sslModeOf(take('sslmode'), take('ssl'), rootCert);
  const connectTimeoutMs = timeoutOf(take('connect_timeout'));
  const pooler = poolerOf(take('pooler'));
  checkBinding(take('channel_binding'), sslMode);
  for (const [name, value] of given) refuse(name, value);
  return {
    sslMode,
    sslRootCert: rootCert === 'system' ? undefined : rootCert,
    connectTimeoutMs,
    pooler,
  };
}

function sslModeOf(
  sslmode: string | undefined,
  ssl: string | undefined,
  rootCert: string | undefined,
): SslMode | undefined {
  const bySsl = ssl === 'true' ? 'require' : ssl === 'false' ? 'disable' : ssl;
  if (sslmode !== undefined && bySsl !== undefined && sslmode !== bySsl) {
    throw new Error('has ssl and sslmode, and they differ; leave ssl out');
  }
  const mode = sslmode ?? bySsl ?? (rootCert === 'system' ? 'verify-full' : undefined);
  if (rootCert === 'system' && mode !== 'verify-full') {
    throw new Error('has sslrootcert=system, which needs sslmode=verify-full');
  }
  if (mode === undefined || sslModes.includes(mode)) return mode as SslMode | undefined;
  if (mode === 'prefer' || mode === 'allow') {
    throw new Error(
      `has sslmode=${mode}, which encrypts only where the server likes to; write ` +
        'sslmode=verify-full, sslmode=require to encrypt without knowing the server, or ' +
        'sslmode=disable',
    );
  }
  if (mode === 'no-verify') {
    throw new Error('has sslmode=no-verify, a word of node-postgres; write sslmode=require');
  }
  throw new Error(`has another sslmode than ${sslModes.join(', ')}`);
}

function timeoutOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const seconds = /^\d{1,2}$/.test(text) ? Number(text) : 0;
  if (seconds < 1 || seconds > 60) {
    throw new Error('has a connect_timeout that is not 1 to 60, in whole seconds');
  }
  return seconds * 1000;
}

function poolerOf(text: string | undefined): Pooler | undefined {
  const pooler = poolers.find((each) => each === text);
  if (pooler === text) return pooler;
  throw new Error(
    `has another pooler than ${poolers.join(', ')}; one that keeps its sessions is none`,
  );
}

/**
 * Binding the login to the TLS channel keeps out who stands between, and so does the check of the
 * certificate; the driver cannot insist on the former.
 */
function checkBinding(value: string | undefined, sslMode: SslMode | undefined): void {
  if (value !== 'require' || sslMode === 'verify-full' || sslMode === 'verify-ca') return;
  throw new Error(
    'has channel_binding=require, which cannot be promised; write sslmode=verify-full' +
      '&sslrootcert=system instead, which keeps out the same attacker',
  );
}

function refuse(name: string, value: string): void {
  const key = name.toLowerCase();
  const rule = Object.hasOwn(fulfilled, key) ? fulfilled[key] : undefined;
  if (rule?.values.test(value)) return;
  const why = rule?.else ?? (Object.hasOwn(explanations, key) ? explanations[key] : undefined);
  if (why !== undefined) throw new Error(`has the parameter ${key}, which ${why}`);
  // A part of a password with an & in it may stand where a name is expected.
  const shown = /^[A-Za-z][A-Za-z_]{1,39}$/.test(name) && value !== '' ? ` ${name}` : '';
  throw new Error(
    `has a parameter${shown} that is not known; sslmode, sslrootcert, connect_timeout and ` +
      'pooler are',
  );
}
