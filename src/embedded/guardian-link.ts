/** The parent's end of the pipe to the guardian process. */
import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, parse } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { toolEnvironment } from './postmaster.js';

/** What the parent writes before it starts the first server. */
export const ARMED = 'armed\n';

/** What the parent writes before it closes the pipe when every server has been stopped. */
export const ORDERLY_END = 'stopped\n';

/** A running guardian. */
export interface Guardian {
  readonly pid: number;
  /**
   * Tells the guardian that servers may run from here on. Until then it stops nothing: a parent
   * that dies before the lock names its guardian leaves one that nobody waits for, and the servers
   * that it would find are those of the next start.
   */
  arm(): void;
  /** Tells the guardian that nothing is left to stop; it ends. */
  dismiss(): void;
}

/**
 * Starts the guardian of a data folder. It keeps neither this process nor its terminal, and learns
 * about servers from the folder itself, so servers that are started later need no message.
 */
export function startGuardian(dataFolder: string, pgCtl: string): Guardian {
  const log = openSync(join(dataFolder, 'guardian.log'), 'a', 0o600);
  const child = spawn(process.execPath, [...guardianProgram(), dataFolder, pgCtl], {
    cwd: parse(dataFolder).root,
    detached: true,
    windowsHide: true,
    stdio: ['pipe', log, log],
    ...toolEnvironment(),
  });
  closeSync(log);
  const { stdin, pid } = child;
  // The same failure shows as the missing pid below; without a listener it would end the process.
  child.on('error', () => undefined);
  if (pid === undefined || stdin === null) {
    throw new Error(`the guardian process did not start: ${process.execPath}`);
  }
  // A guardian that somebody killed must not take this process down with it; the next start
  // stops what is then left over.
  stdin.on('error', () => undefined);
  child.unref();
  if ('unref' in stdin && typeof stdin.unref === 'function') {
    stdin.unref();
  }
  return {
    pid,
    arm() {
      stdin.write(ARMED);
    },
    dismiss() {
      stdin.end(ORDERLY_END);
    },
  };
}

/** Built code runs as it is; from TypeScript sources (tests) tsx loads the guardian. */
function guardianProgram(): string[] {
  if (!import.meta.url.endsWith('.ts')) {
    return [fileURLToPath(new URL('./guardian.js', import.meta.url))];
  }
  const loader = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
  return ['--import', loader, fileURLToPath(new URL('./guardian.ts', import.meta.url))];
}
