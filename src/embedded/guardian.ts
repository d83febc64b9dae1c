/**
 * The guardian: a process of its own that stops a cluster's servers when the process that started
 * them is gone, however it went. Its standard input is a pipe from that process; the system closes
 * the pipe at any death, SIGKILL included. It runs in a session of its own, so that Ctrl-C does
 * not reach it. Arguments: the cluster's data folder and the path of pg_ctl.
 */
import { join } from 'node:path';
import { pause } from '../lib/wait.js';
import { ARMED, ORDERLY_END } from './guardian-link.js';
import { stopPostmaster } from './postmaster.js';
import { listNodeFolders } from './state.js';

/** A server that was spawned right before the end has written its postmaster.pid by then. */
const LATECOMER_DELAY_MS = 500;

const [, , dataFolder, pgCtl] = process.argv;
if (dataFolder === undefined || pgCtl === undefined) {
  throw new Error('usage: guardian DATA_FOLDER PG_CTL');
}

let input = '';
process.stdin.setEncoding('utf8');
for await (const part of process.stdin) {
  input += part;
}
if (input.startsWith(ARMED) && !input.endsWith(ORDERLY_END)) {
  await stopAll(dataFolder, pgCtl);
  await pause(LATECOMER_DELAY_MS);
  await stopAll(dataFolder, pgCtl);
}

async function stopAll(folder: string, pgCtlPath: string): Promise<void> {
  const names = await listNodeFolders(folder);
  // All at once: a primary waits for its standbys, which wait for nobody.
  await Promise.all(names.map((name) => stopPostmaster(join(folder, name), pgCtlPath)));
}
