/** Starts `cluster-child.ts` as a process of its own and reads what it prints. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { ChildReport } from './cluster-child.js';

/** A process that runs a cluster. */
export interface ClusterChild {
  readonly process: ChildProcess;
  readonly report: ChildReport;
  /** Resolves with the exit code (null after a signal) once the process has ended. */
  readonly ended: Promise<number | null>;
}

/** Starts a process that starts a cluster in `dataDirectory`; resolves once the cluster is up. */
export async function startClusterChild(dataDirectory: string): Promise<ClusterChild> {
  const program = fileURLToPath(new URL('./cluster-child.ts', import.meta.url));
  // A process group of its own, so that a test can send Ctrl-C to it as a terminal does.
  const child = spawn(process.execPath, ['--import', 'tsx', program, dataDirectory], {
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = once(child, 'exit').then(([code]) => code as number | null);
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  for await (const line of createInterface({ input: child.stdout })) {
    return { process: child, report: JSON.parse(line) as ChildReport, ended };
  }
  throw new Error(`the process ended with ${await ended} before its cluster was up: ${said}`);
}
