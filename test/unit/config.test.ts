import { describe, expect, it } from 'vitest';
import {
  type Config,
  ConfigError,
  configTable,
  ownersLogin,
  parseConfig,
} from '../../src/config.js';
import { inspectConfig } from '../../src/config-inspect.js';
import type { SettingFiles } from '../../src/config-password.js';

const texts: Readonly<Record<string, string>> = {
  '/run/token': `${'t'.repeat(40)}\n`,
  '/ca.pem': 'PEM',
  '/password': ' with spaces \r\n',
  '/empty': '\n',
  '/two-lines': 'one\ntwo\n',
  '/pass': 'h1:*:d:u:hunter2\n*:*:*:*:other\n',
  '/nodes': '# ours\nh1:5001, h2\r\n\n[::1]:5003\n',
  '/twice': 'h1\nh1:5432\n',
  '/no-nodes': '# none\n',
  '/open': '*:*:*:*:hunter2\n',
  '/several': 'h1:*:*:*:hunter2\nh2:*:*:*:hunter3\n',
};

const files: SettingFiles = {
  read(path) {
    const text = texts[path];
    if (text === undefined) {
      throw new Error('ENOENT');
    }
    return text;
  },
  isPrivate: (path) => path !== '/open',
};

const parse = (environment: Record<string, string>): Config => parseConfig(environment, files);

function problemsOf(environment: Record<string, string>): readonly string[] {
  try {
    parse(environment);
  } catch (error) {
    if (error instanceof ConfigError) {
      return error.problems;
    }
    throw error;
  }
  return [];
}

describe('parseConfig', () => {
  it('needs nothing set', () => {
    const config = parse({});
    expect(config.server.grpcAddress).toEqual({ host: '127.0.0.1', port: 50_051 });
    expect(config.server.httpAddress).toEqual({ host: '127.0.0.1', port: 8080 });
    expect(config.postgres).toMatchObject({
      nodes: [{ host: '127.0.0.1', port: 5432 }],
      tls: false,
      connectionsMin: 2,
      connectionsMax: 20,
    });
    expect(config).toMatchObject({ dataDir: '.stowage', standbys: 2, migrate: false });
    expect(Object.isFrozen(config) && Object.isFrozen(config.server)).toBe(true);
  });

  it('takes the nodes of a file instead of those elsewhere', () => {
    const nodes = [
      { host: 'h1', port: 5001 },
      { host: 'h2', port: 5432 },
      { host: '::1', port: 5003 },
    ];
    const STOWAGE_NODES_FILE = '/nodes';
    expect(parse({ STOWAGE_NODES_FILE }).postgres.nodes).toEqual(nodes);
    const both = parse({ STOWAGE_NODES_FILE, DATABASE_URL: 'postgres://u:p@elsewhere/d' });
    expect(both.postgres).toMatchObject({ nodes, user: 'u', database: 'd' });
    for (const [path, problem] of [
      ['/absent', 'cannot read /absent: ENOENT'],
      ['/twice', 'names a node twice'],
      ['/no-nodes', 'names no node; write host or host:port a line'],
    ]) {
      const problems = problemsOf({ STOWAGE_NODES_FILE: path ?? '' });
      expect(problems).toEqual([`STOWAGE_NODES_FILE: ${problem}`]);
    }
  });

  it('reads a URL of several hosts with percent-encoded parts', () => {
    const { postgres } = parse({
      DATABASE_URL: 'postgresql://us%40er:p%3Aw%2Fd@h1:5001,h2,[::1]:5003/d%20b',
    });
    expect(postgres).toMatchObject({
      nodes: [
        { host: 'h1', port: 5001 },
        { host: 'h2', port: 5432 },
        { host: '::1', port: 5003 },
      ],
      database: 'd b',
      user: 'us@er',
      password: 'p:w/d',
    });
  });

  it.each([
    ['disable', false],
    ['require', { ca: undefined, rejectUnauthorized: false }],
    ['verify-full', { ca: undefined, rejectUnauthorized: true }],
    ['require&sslrootcert=/ca.pem', { ca: 'PEM', rejectUnauthorized: true }],
    ['verify-ca&sslrootcert=/ca.pem', { ca: 'PEM', rejectUnauthorized: true }],
  ])('understands sslmode=%s', (query, tls) => {
    expect(parse({ DATABASE_URL: `postgres://h/d?sslmode=${query}` }).postgres.tls).toEqual(tls);
  });

  it.each([
    [{}, 'none'],
    [{ POSTGRES_POOLER: 'transaction' }, 'transaction'],
    [{ DATABASE_URL: 'postgres://h/d?pooler=transaction' }, 'transaction'],
    [{ DATABASE_URL: 'postgres://h/d?pooler=none', POSTGRES_POOLER: 'transaction' }, 'none'],
  ])('takes the pooler from the URL, else from its setting: %o', (environment, pooler) => {
    expect(parse(environment as Record<string, string>).postgres.pooler).toBe(pooler);
  });

  it('asks for a way past the pooler where the schema is changed', () => {
    const pooled = { POSTGRES_POOLER: 'transaction' };
    expect(() => ownersLogin(parse(pooled))).toThrow(
      /STOWAGE_ADMIN_URL: must be set for this, the/,
    );
    expect(ownersLogin(parse({})).nodes).toEqual([{ host: '127.0.0.1', port: 5432 }]);
    const direct = { ...pooled, STOWAGE_ADMIN_URL: 'postgres://o@db1/d', STOWAGE_MIGRATE: 'true' };
    expect(ownersLogin(parse(direct))).toMatchObject({ user: 'o' });
  });

  it('reads a comma list of hosts, each with its own port or the common one', () => {
    const { postgres } = parse({
      POSTGRES_HOST: 'a, b:6000',
      POSTGRES_PORT: '5433',
      POSTGRES_PASSWORD: 'secret',
    });
    expect(postgres.nodes).toEqual([
      { host: 'a', port: 5433 },
      { host: 'b', port: 6000 },
    ]);
    expect(postgres.password).toBe('secret');
  });

  it.each([
    [{ DATABASE_URL: 'postgres://u:url@h/d', POSTGRES_PASSWORD: 'x' }, 'url', 'DATABASE_URL'],
    [{ DATABASE_URL: 'postgres://u@h/d', POSTGRES_PASSWORD: 'x' }, 'x', 'POSTGRES_PASSWORD'],
    [{ POSTGRES_PASSWORD_FILE: '/password' }, ' with spaces ', 'POSTGRES_PASSWORD_FILE'],
    [
      { POSTGRES_PASSWORD_FILE: '/password', PGPASSFILE: '/pass' },
      ' with spaces ',
      'POSTGRES_PASSWORD_FILE',
    ],
    [{ DATABASE_URL: 'postgres://u@h1,h1:1/d', PGPASSFILE: '/pass' }, 'hunter2', 'PGPASSFILE'],
    [{ POSTGRES_HOST: 'h9', PGPASSFILE: '/pass' }, 'other', 'PGPASSFILE'],
    [{ DATABASE_URL: 'postgres://u@h1,h9/d', PGPASSFILE: '/several' }, 'hunter2', 'PGPASSFILE'],
    [{ POSTGRES_HOST: 'h9', PGPASSFILE: '/several' }, undefined, undefined],
  ])('takes the password from the first place that has one: %o', (environment, text, source) => {
    const { postgres, passwordSource } = parse(environment as Record<string, string>);
    expect([postgres.password, passwordSource]).toEqual([text, source]);
  });

  it.each([
    [{ POSTGRES_PASSWORD_FILE: '/password', POSTGRES_PASSWORD: 'x' }, /it or POSTGRES_PASSWORD,/],
    [{ POSTGRES_PASSWORD_FILE: '/absent' }, /^POSTGRES_PASSWORD_FILE: cannot read \/absent/],
    [{ POSTGRES_PASSWORD_FILE: '/empty' }, /is empty/],
    [{ POSTGRES_PASSWORD_FILE: '/two-lines' }, /several lines/],
    [{ PGPASSFILE: '/open' }, /^PGPASSFILE: others .* run chmod 600 \/open$/],
    [{ PGPASSFILE: '/absent' }, /^PGPASSFILE: cannot read \/absent/],
    [{ POSTGRES_HOST: 'h1,h2', PGPASSFILE: '/several' }, /^PGPASSFILE: has several passwords/],
    [{ POSTGRES_POOLER: 'session' }, /^POSTGRES_POOLER: must be none or transaction/],
    [{ POSTGRES_POOLER: 'transaction', STOWAGE_MIGRATE: 'true' }, /^STOWAGE_MIGRATE: needs STOW/],
    [{ STOWAGE_ADMIN_URL: 'postgres://h/d?pooler=transaction' }, /^STOWAGE_ADMIN_URL: has pooler=/],
    [{ STOWAGE_ADMIN_URL: 'jdbc:postgresql://h/d?password=hunter2' }, /leave jdbc: out/],
    [
      { STOWAGE_ADMIN_URL: 'postgres://h/d?sslrootcert=/absent&sslmode=verify-full' },
      /^STOWAGE_ADMIN_URL: cannot read \/absent/,
    ],
  ])('refuses %o and says what to do', (environment, message) => {
    expect(problemsOf(environment as Record<string, string>)).toEqual([
      expect.stringMatching(message),
    ]);
  });

  it('reads the migrator’s login in the form of the service’s', () => {
    const admin = (url: string) => parse({ STOWAGE_ADMIN_URL: url, PGPASSFILE: '/pass' }).admin;
    expect(admin('postgresql+psycopg2://me:pw@h:1/d?sslmode=require&connect_timeout=7')).toEqual({
      nodes: [{ host: 'h', port: 1 }],
      database: 'd',
      user: 'me',
      password: 'pw',
      passwordSource: 'STOWAGE_ADMIN_URL',
      tls: { ca: undefined, rejectUnauthorized: false },
      connectTimeoutMs: 7000,
    });
    expect(admin('postgres://h9')).toMatchObject({
      database: 'stowage',
      user: 'postgres',
      password: 'other',
      passwordSource: 'PGPASSFILE',
    });
  });

  it('lets connect_timeout of the URL go before the setting', () => {
    const environment = { STOWAGE_CONNECT_TIMEOUT_MS: '500' };
    const url = (query: string) =>
      parse({ ...environment, DATABASE_URL: `postgres://h/d${query}` });
    expect(url('?connect_timeout=10').postgres.connectTimeoutMs).toBe(10_000);
    expect(url('').postgres.connectTimeoutMs).toBe(500);
  });

  it('takes the token from a file without its line end', () => {
    const config = parse({ STOWAGE_AUTH_TOKEN_FILE: '/run/token' });
    expect(config.server.authToken).toBe('t'.repeat(40));
  });

  it('refuses to listen where others reach it without a token and says what to set', () => {
    const environment = { STOWAGE_GRPC_ADDRESS: '0.0.0.0:50051' };
    expect(problemsOf(environment)).toEqual([
      expect.stringMatching(/STOWAGE_GRPC_ADDRESS: .*set STOWAGE_AUTH_TOKEN/),
    ]);
    const token = 'x'.repeat(32);
    expect(problemsOf({ ...environment, STOWAGE_AUTH_TOKEN: token })).toEqual([]);
    expect(problemsOf({ STOWAGE_HTTP_ADDRESS: '[::1]:0' })).toEqual([]);
  });

  it('reports every mistake at once', () => {
    const problems = problemsOf({
      POSTGRES_MAX_CONN: 'many',
      POSTGRES_PORT: '70000',
      STOWAGE_STANDBYS: '-1',
      STOWAGE_MIGRATE: 'yes',
      STOWAGE_LOG_LEVEL: 'loud',
      STOWAGE_HTTP_ADDRESS: '8080',
      STOWAGE_AUTH_TOKEN_FILE: '/missing',
    });
    expect(problems.map((problem) => problem.split(':')[0]).sort()).toEqual([
      'POSTGRES_MAX_CONN',
      'POSTGRES_PORT',
      'STOWAGE_AUTH_TOKEN_FILE',
      'STOWAGE_HTTP_ADDRESS',
      'STOWAGE_LOG_LEVEL',
      'STOWAGE_MIGRATE',
      'STOWAGE_STANDBYS',
    ]);
  });

  it.each([
    { DATABASE_URL: 'mysql://u:hunter2@h/d' },
    { DATABASE_URL: 'postgres://u:hunter2@h:99999/d' },
    { DATABASE_URL: 'postgres://u:hunter2@h/d?sslmode=prefer' },
    { DATABASE_URL: 'postgres://u:hunter2%@h/d' },
    { DATABASE_URL: 'postgres://u:hunter2@h/d?unheard=of' },
    { DATABASE_URL: 'postgres://u:1?hunter2@h/d' },
    { DATABASE_URL: 'postgres://u:1/hunter2@h/d' },
    { STOWAGE_ADMIN_URL: 'http://u:hunter2@h/d' },
    { STOWAGE_AUTH_TOKEN: 'hunter2' },
    { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://user:hunter2@collector:4318' },
    { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318?key=hunter2' },
    { OTEL_EXPORTER_OTLP_HEADERS: 'x-key=hunter2%0a' },
    { OTEL_EXPORTER_OTLP_HEADERS: 'x-key=hunter2%' },
    { OTEL_EXPORTER_OTLP_HEADERS: 'x-key=hunter2ü' },
  ])('never repeats a secret: $DATABASE_URL$STOWAGE_ADMIN_URL', (environment) => {
    const problems = problemsOf(environment as Record<string, string>);
    expect(problems).toHaveLength(1);
    expect(problems.join()).not.toContain('hunter2');
  });

  it('takes a collector, with headers that requests can have', () => {
    const { telemetry } = parse({
      OTEL_EXPORTER_OTLP_ENDPOINT: 'https://collector:4318/base',
      OTEL_EXPORTER_OTLP_HEADERS: 'Authorization=Basic%20YTpi==,x-key=a%2Cb',
    });
    expect(telemetry.otlp).toMatchObject({
      endpoint: 'https://collector:4318/base',
      headers: { authorization: 'Basic YTpi==', 'x-key': 'a,b' },
    });
  });

  it('refuses two ways to say the same', () => {
    expect(problemsOf({ DATABASE_URL: 'postgres://h/d', POSTGRES_HOST: 'h' })).toHaveLength(1);
    expect(
      problemsOf({ STOWAGE_AUTH_TOKEN: 'x'.repeat(32), STOWAGE_AUTH_TOKEN_FILE: '/run/token' }),
    ).toHaveLength(1);
  });
});

describe('inspectConfig', () => {
  it('goes on with the defaults of what does not concern the database', () => {
    const { config, problems } = inspectConfig(
      {
        POSTGRES_HOST: 'h',
        POSTGRES_MAX_CONN: 'many',
        STOWAGE_ADMIN_URL: 'mysql://h',
        STOWAGE_AUTH_TOKEN: 'short',
        STOWAGE_GRPC_ADDRESS: '0.0.0.0:1',
      },
      files,
    );
    expect(problems.map((problem) => problem.split(':')[0])).toEqual([
      'POSTGRES_MAX_CONN',
      'STOWAGE_ADMIN_URL',
      'STOWAGE_AUTH_TOKEN',
      'STOWAGE_GRPC_ADDRESS',
    ]);
    expect(config?.postgres).toMatchObject({ connectionsMax: 20, nodes: [{ host: 'h' }] });
    expect(config?.admin).toBeUndefined();
  });

  it('guesses nothing of the database', () => {
    const { config, problems } = inspectConfig({ DATABASE_URL: 'mysql://h/d' }, files);
    expect([config, problems.length]).toEqual([undefined, 1]);
  });

  it('finds nothing wrong with nothing', () => {
    expect(inspectConfig({}, files)).toMatchObject({ problems: [], config: { standbys: 2 } });
  });
});

describe('configTable', () => {
  it('has a default that its own schema takes, for every setting that has one', () => {
    for (const [key, { schema, default: text }] of Object.entries(configTable)) {
      if (text !== undefined) {
        expect(schema.safeParse(text).success, key).toBe(true);
      }
    }
  });
});
