/** The real PgBouncer before a node, in transaction mode. Needs Debian's package pgbouncer. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, chown, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { accountToDropTo } from '../../src/embedded/account.js';
import { until } from '../../src/lib/wait.js';
import { freePort } from './free-port.js';
import { blocksOf } from './markdown-blocks.js';

/** Debian keeps it where only root looks. */
const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` };

/** What is before what. */
export interface PgBouncerOptions {
  /** Of the node. */
  readonly port: number;
  /** Who may look up the verifiers of other roles. */
  readonly lookup: { readonly user: string; readonly password: string };
  /** Sessions of the server a role and database. */
  readonly poolSize: number;
}

/** A running PgBouncer; its port is the same for life. */
export interface PgBouncer extends AsyncDisposable {
  readonly port: number;
  /** What it has logged so far. */
  log(): Promise<string>;
  start(): Promise<void>;
  kill(): Promise<void>;
}

/** Its version, such as `1.18.0`. @throws Error where it is not installed */
export async function pgBouncerVersion(): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)('pgbouncer', ['--version'], { env });
    return /PgBouncer (\S+)/.exec(stdout)?.[1] ?? stdout;
  } catch (error) {
    throw new Error('there is no PgBouncer; run: apt install pgbouncer', { cause: error });
  }
}

/** Starts one that knows every role of the node, by asking for its verifier. */
export async function startPgBouncer(options: PgBouncerOptions): Promise<PgBouncer> {
  const folder = await mkdtemp(join(tmpdir(), 'stowage-pgbouncer-'));
  const port = await freePort();
  const users = join(folder, 'users.txt');
  const settings = join(folder, 'pgbouncer.ini');
  const logFile = join(folder, 'log');
  const { user, password } = options.lookup;
  await writeFile(users, `"${user}" "${password}"\n`);
  await writeFile(settings, configuration(options, { port, users, logFile }));
  // It refuses to run as root, and so has the account that PostgreSQL has then.
  const account = accountToDropTo();
  await chmod(folder, 0o700);
  if (account !== undefined) {
    for (const path of [folder, users, settings]) await chown(path, account.uid, account.gid);
  }
  let child: ChildProcess | undefined;
  const start = async () => {
    const identity = account && { uid: account.uid, gid: account.gid };
    child = spawn('pgbouncer', ['--quiet', settings], { env, stdio: 'ignore', ...identity });
    await until(() => answers(port), { timeoutMs: 10_000, what: 'PgBouncer listens' });
  };
  const kill = async () => {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  };
  await start();
  return {
    port,
    log: () => readFile(logFile, 'utf8'),
    start,
    kill,
    async [Symbol.asyncDispose]() {
      await kill();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** What docs/pgbouncer.md says, with this machine's values instead of its examples. */
function configuration(
  { port: nodePort, lookup, poolSize }: PgBouncerOptions,
  own: { readonly port: number; readonly users: string; readonly logFile: string },
): string {
  const [page] = blocksOf('docs/pgbouncer.md').filter(({ language }) => language === 'ini');
  if (page === undefined) throw new Error('docs/pgbouncer.md has no configuration');
  const values: Record<string, string | number> = {
    listen_addr: '127.0.0.1',
    listen_port: own.port,
    auth_file: own.users,
    default_pool_size: poolSize,
    max_client_conn: 200,
  };
  const lines = page.text.trimEnd().split('\n');
  const written = lines.map((line) => {
    const key = line.split(' = ', 1)[0] ?? '';
    if (key === 'stowage') return `* = host=127.0.0.1 port=${nodePort}`;
    return key in values ? `${key} = ${values[key]}` : line;
  });
  return [
    ...written,
    'unix_socket_dir =',
    // Each test's login is made after this.
    `auth_user = ${lookup.user}`,
    'auth_query = select rolname, rolpassword from pg_authid where rolname = $1',
    `logfile = ${own.logFile}`,
    '',
  ].join('\n');
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(port, '127.0.0.1');
    const settle = (isThere: boolean) => {
      socket.destroy();
      resolve(isThere);
    };
    socket.once('connect', () => settle(true));
    socket.once('error', () => settle(false));
  });
}
