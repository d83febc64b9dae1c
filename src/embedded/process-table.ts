/**
 * Questions about processes that are not our children: alive, whose children, what command. Linux
 * answers from /proc, macOS from `ps`; Windows answers only "alive", and callers then rely on what
 * PostgreSQL wrote into its own files.
 */
import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { promisify } from 'node:util';

/** Fields of /proc/PID/stat after the command, whose text may itself hold spaces and brackets. */
async function readStat(pid: number): Promise<string[] | undefined> {
  try {
    const text = await readFile(`/proc/${pid}/stat`, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}

/** Says whether the process runs; a zombie that nobody has reaped yet does not. */
export async function isAlive(pid: number): Promise<boolean> {
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: it is there and belongs to another user.
    if (!(error instanceof Error && 'code' in error && error.code === 'EPERM')) {
      return false;
    }
  }
  return process.platform !== 'linux' || !isDead(await readStat(pid));
}

function isDead(stat: string[] | undefined): boolean {
  return stat === undefined || stat[0] === 'Z' || stat[0] === 'X';
}

/**
 * Tells this process apart from a later one with the same pid: its start in ticks since boot.
 *
 * @returns undefined where the platform does not say (then the pid alone must do)
 */
export async function readStartTicks(pid: number): Promise<string | undefined> {
  return process.platform === 'linux' ? (await readStat(pid))?.[19] : undefined;
}

/** Lists the pids of the running children of `pid`; empty on Windows. */
export async function listChildren(pid: number): Promise<number[]> {
  if (process.platform === 'win32') {
    return [];
  }
  if (process.platform !== 'linux') {
    const rows = (await ps(['-A', '-o', 'pid=,ppid='])).split('\n').map((row) => row.trim());
    return rows
      .map((row) => row.split(/\s+/).map(Number))
      .filter(([, parent]) => parent === pid)
      .map(([child]) => child ?? 0);
  }
  const children: number[] = [];
  for (const name of await readdir('/proc')) {
    if (/^\d+$/.test(name)) {
      const stat = await readStat(Number(name));
      if (!isDead(stat) && stat?.[1] === String(pid)) {
        children.push(Number(name));
      }
    }
  }
  return children;
}

/**
 * Reads the command line of a process, its arguments separated by blanks.
 *
 * @returns undefined where it is not there or the platform does not say
 */
export async function readCommandLine(pid: number): Promise<string | undefined> {
  try {
    switch (process.platform) {
      case 'linux':
        return (await readFile(`/proc/${pid}/cmdline`, 'utf8')).replaceAll('\0', ' ');
      case 'win32':
        return undefined;
      default:
        return await ps(['-o', 'command=', '-p', String(pid)]);
    }
  } catch {
    return undefined;
  }
}

async function ps(args: readonly string[]): Promise<string> {
  return (await promisify(execFile)('ps', [...args])).stdout;
}
