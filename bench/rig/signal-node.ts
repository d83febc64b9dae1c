/**
 * A signal to all processes of a node at a known moment. The cluster's own verbs say only when they
 * are done: they look for the processes first, for as long as that takes.
 */

import type { EmbeddedNode } from '../../src/embedded/index.js';
import { findPostmaster } from '../../src/embedded/postmaster.js';
import { listChildren } from '../../src/embedded/process-table.js';
import { nowMs } from './clock.js';

/**
 * Sends it to the server first. Processes that it starts meanwhile are missed: the cluster's verb
 * is to follow, which finds them.
 * @returns when, on the clock of `nowMs`
 */
export async function signalNode(
  { name, folder }: EmbeddedNode,
  signal: 'SIGKILL' | 'SIGSTOP',
): Promise<number> {
  const postmaster = await findPostmaster(folder);
  if (postmaster === undefined) throw new Error(`the node ${name} is not running`);
  const children = await listChildren(postmaster);
  const sentAtMs = nowMs();
  for (const pid of [postmaster, ...children]) {
    try {
      process.kill(pid, signal);
    } catch {
      // It has ended by itself since it was listed.
    }
  }
  return sentAtMs;
}
