/**
 * The HA manager of a run: after the loss of a primary it promotes the standby that has received
 * most, points the other to it and rebuilds the former primary. It decides nothing about the
 * service, which has to find out by itself.
 */

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { EmbeddedCluster, EmbeddedNode } from '../../src/embedded/index.js';
import { pause } from '../../src/lib/wait.js';
import { parseLsn } from '../../src/postgres/lsn.js';
import type { Recorder } from './recorder.js';

/** Acts on one cluster, one failover at a time. */
export class HaManager {
  readonly #cluster: EmbeddedCluster;
  readonly #recorder: Recorder;

  constructor(cluster: EmbeddedCluster, recorder: Recorder) {
    this.#cluster = cluster;
    this.#recorder = recorder;
  }

  /**
   * Promotes the most advanced standby and points the other to it.
   * @param lostMs when the former primary was lost.
   */
  async failOver(lostMs: number): Promise<void> {
    const cluster = this.#cluster;
    const standbys = [...cluster.standbys];
    const received = await Promise.all(
      standbys.map(async (node) => ({ node, lsn: await receivedLsn(node) })),
    );
    received.sort((a, b) => (a.lsn > b.lsn ? -1 : 1));
    const chosen = received[0]?.node;
    if (chosen === undefined) throw new Error('there is no standby to promote');
    await cluster.promote(chosen.name);
    const promotedMs = performance.now();
    const [row] = await chosen.query<{ file: string }>(
      'select pg_walfile_name(pg_current_wal_lsn()) as file',
    );
    const timeline = Number.parseInt(row?.file.slice(0, 8) ?? '', 16);
    this.#recorder.promoted({ timeline, lostMs, promotedMs });
    for (const other of standbys) {
      if (other !== chosen) await cluster.repoint(other.name, chosen.name);
    }
  }

  /** Crashes the primary, and fails over after a while. @returns the name of the former primary */
  async crashAndFailOver(delayMs: number): Promise<string> {
    const former = this.#cluster.primary.name;
    await this.#cluster.crash(former);
    const lostMs = performance.now();
    await pause(delayMs);
    await this.failOver(lostMs);
    return former;
  }

  /** Brings a former primary back as a standby without rebuilding it, out of carelessness. */
  async rejoinNaively(name: string): Promise<void> {
    const { primary } = this.#cluster;
    const node = this.#cluster.node(name);
    await writeFile(join(node.folder, 'standby.signal'), '');
    await node.configure({ port: primary.port });
    await node.start(node.port);
  }
}

async function receivedLsn(node: EmbeddedNode): Promise<bigint> {
  const [row] = await node.query<{ lsn: string | null }>(
    `select greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())::text as lsn`,
  );
  return row?.lsn ? parseLsn(row.lsn) : 0n;
}
