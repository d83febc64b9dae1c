/** `stowage doctor` in this process, for a start of the program takes a second; and its patient. */

import { doctorCommand } from '../../src/cli/doctor.js';
import { inspectConfig } from '../../src/config-inspect.js';
import type { EmbeddedCluster } from '../../src/embedded/index.js';
import { sharedCluster, startTestCluster } from './cluster.js';
import { createTestDatabase, type TestConnection, type TestDatabase } from './database.js';

/** What a run came to. */
export interface DoctorRun {
  readonly exitCode: number;
  readonly text: string;
}

/** Runs the command on an environment. */
export async function runDoctor(
  environment: Readonly<Record<string, string>>,
  ...args: string[]
): Promise<DoctorRun> {
  let text = '';
  let exitCode = 0;
  const command = doctorCommand({
    config: () => inspectConfig(environment),
    output: {
      write: (written) => {
        text += written;
      },
    },
    setExitCode: (code) => {
      exitCode = code;
    },
  });
  await command.parseAsync(args, { from: 'user' });
  return { exitCode, text };
}

/** What was printed of a check first: its line, and its remedy with the indents. */
export function printedOf({ text }: Pick<DoctorRun, 'text'>, check: string): string {
  const lines = text.split('\n');
  const first = lines.findIndex((line) => line.match(/^ {2}\S+ +(\S+)/)?.[1] === check);
  const after = lines.slice(first + 1).findIndex((line) => !line.startsWith('        '));
  return lines.slice(first, first + 1 + after).join('\n');
}

/** The password of the service's login; no run may print it. */
export const patientPassword = 'hunter2-hunter2';

/** A database on a primary and a standby, until a test sees to it. */
export interface Patient extends AsyncDisposable {
  readonly database: TestDatabase;
  /** The superuser, in the database. */
  readonly administrator: TestConnection;
  readonly user: string;
  /** `127.0.0.1:port` of each. */
  readonly primary: string;
  readonly standby: string;
  /** The settings of a service of both nodes, with others over them. */
  environment(settings?: Readonly<Record<string, string>>): Record<string, string>;
  /** Runs the command on that environment. @throws Error where the password is printed */
  doctor(settings?: Readonly<Record<string, string>>, ...args: string[]): Promise<DoctorRun>;
}

/** One with a cluster of its own, on which all is well. */
export interface LonePatient extends Patient {
  readonly cluster: EmbeddedCluster;
}

/** Makes one on the shared cluster, whose nodes and settings are not to be touched. */
export async function sharedPatient(): Promise<Patient> {
  const [primary, standby] = sharedCluster().nodes;
  const patient = await patientOn(primary?.url ?? '', [primary?.port, standby?.port]);
  return { ...patient, [Symbol.asyncDispose]: () => patient.database.drop() };
}

/** Starts a cluster with fsync, for all is to be well, and with few connections to be taken. */
export async function startPatient(): Promise<LonePatient> {
  const test = await startTestCluster({
    standbys: 1,
    fsync: true,
    settings: { max_connections: '20' },
  });
  const { cluster } = test;
  const ports = [cluster.primary.port, cluster.standbys[0]?.port];
  const patient = await patientOn(cluster.superuserUrl(), ports);
  await cluster.waitUntilCaughtUp();
  return { ...patient, cluster, [Symbol.asyncDispose]: test.stop };
}

async function patientOn(url: string, ports: readonly (number | undefined)[]) {
  const database = await createTestDatabase(url);
  const user = new URL(database.serviceUrl ?? '').username;
  const administrator = await database.connect();
  await administrator.query(`alter role ${user} password '${patientPassword}'`);
  const [primary = '', standby = ''] = ports.map((port) => `127.0.0.1:${port}`);
  const environment = (settings: Readonly<Record<string, string>> = {}) => ({
    POSTGRES_HOST: `${primary},${standby}`,
    POSTGRES_DB: database.name,
    POSTGRES_USER: user,
    POSTGRES_PASSWORD: patientPassword,
    POSTGRES_MAX_CONN: '8',
    ...settings,
  });
  const doctor: Patient['doctor'] = async (settings, ...args) => {
    const ran = await runDoctor(environment(settings), ...args);
    if (ran.text.includes(patientPassword)) throw new Error('the password was printed');
    return ran;
  };
  return { database, administrator, user, primary, standby, environment, doctor };
}
