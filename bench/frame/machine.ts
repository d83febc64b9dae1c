/** Where and with what was measured: numbers from two machines are never compared without it. */

import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import os from 'node:os';
import { promisify } from 'node:util';

/** The machine, as far as it decides speed. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGib: number;
  readonly platform: string;
  /** Load of the last minute when the run began: anything but near zero disturbs. */
  readonly loadAverage: number;
}

export function describeMachine(): Machine {
  const cpus = os.cpus();
  return {
    cpu: cpus[0]?.model.trim() ?? 'unknown',
    cores: cpus.length,
    memoryGib: Math.round(os.totalmem() / 2 ** 30),
    platform: `${os.platform()} ${os.release()} ${os.arch()}`,
    loadAverage: Math.round((os.loadavg()[0] ?? 0) * 100) / 100,
  };
}

/** Versions of what takes part, and the commit that is measured. */
export async function describeVersions(): Promise<Record<string, string>> {
  const modules = '../../node_modules';
  return {
    stowage: await versionIn('../..'),
    commit: await commit(),
    node: process.versions.node,
    'grpc-js': await versionIn(`${modules}/@grpc/grpc-js`),
    pg: await versionIn(`${modules}/pg`),
    protobuf: await versionIn(`${modules}/@bufbuild/protobuf`),
  };
}

/** Read as a file: not every package exports its manifest. */
async function versionIn(folder: string): Promise<string> {
  const text = await readFile(new URL(`${folder}/package.json`, import.meta.url), 'utf8');
  return (JSON.parse(text) as { readonly version: string }).version;
}

/** An unpacked archive has no commit. */
async function commit(): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)('git', ['describe', '--always', '--dirty'], {
      cwd: import.meta.dirname,
    });
    return stdout.trim();
  } catch {
    return 'unknown';
  }
}
