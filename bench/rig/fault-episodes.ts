/**
 * What happens to a cluster, from one steady state to the next, and what its callers met: a
 * failover, and a node that stops answering.
 */

import type { EmbeddedNode } from '../../src/embedded/index.js';
import { pause, until } from '../../src/lib/wait.js';
import type { Measures } from '../frame/lane.js';
import { failuresOf, firstSuccessMs, longestGapMs, worstMs } from '../frame/paced-calls.js';
import { BareSessions } from './bare-sessions.js';
import { nowMs } from './clock.js';
import type { PacedCall, PacedLoad } from './paced-load.js';
import { signalNode } from './signal-node.js';
import { nameOf, type Stage } from './stage.js';

/** A load runs for this long before a fault. */
const LEAD_MS = 500;
/** Faults fall anywhere between two probes. */
const PROBE_INTERVAL_MS = 500;
/** There is no primary for this long at the least: somebody has to choose one. */
const ELECTION_MS = 500;
/** Calls are watched for this long once the fault is seen. */
const AFTER_MS = 500;
/** A read takes a few milliseconds; one that takes longer than this waits for something. */
const NORMAL_READ_MS = 50;
const WRITE_TIMEOUT_MS = 30_000;

/** A failover under reads and writes, each of a client of its own. */
export async function failOverLoaded(stage: Stage): Promise<Measures> {
  await stage.whenSteady();
  await using reader = stage.client();
  await using writer = stage.client();
  await using reads = stage.reads(reader);
  await using writes = stage.writes(writer);
  await pause(LEAD_MS);
  const measures = await failOver(stage, (sinceMs) =>
    until(() => firstSuccessMs(writes.ended, sinceMs), {
      timeoutMs: WRITE_TIMEOUT_MS,
      what: 'a write succeeds',
    }),
  );
  const writesFailed = failuresIn(stage, 'writes', await writes.stop());
  return { ...measures, ...readMeasures(stage, await reads.stop(), 0), writesFailed };
}

/** A failover that only the server notices, and a write that begins once it is over. */
export async function failOverIdle(stage: Stage): Promise<Measures> {
  await stage.whenSteady();
  await using writer = stage.client();
  await writer.ready();
  return await failOver(stage, async () => {
    const isWritten = () =>
      stage.write(writer).then(
        () => true,
        () => false,
      );
    await until(isWritten, { timeoutMs: WRITE_TIMEOUT_MS, what: 'a write succeeds' });
    return nowMs();
  });
}

/** @param firstWrite begun when the promoted node takes writes; tells when one was done there. */
async function failOver(
  stage: Stage,
  firstWrite: (sinceMs: number) => Promise<number>,
): Promise<Measures> {
  const { cluster, states } = stage;
  const former = cluster.primary;
  const { standbys } = cluster;
  await using sessions = await BareSessions.open(cluster);
  await pause(Math.random() * PROBE_INTERVAL_MS);
  await stage.whenKnown();
  const crashedAtMs = await signalNode(former, 'SIGKILL');
  await cluster.crash(former.name);
  const demotedAtMs = await states.whenLeft(nameOf(former), 'primary', crashedAtMs);
  await pause(ELECTION_MS);
  const successor = await sessions.mostAdvanced(standbys);
  const promoted = sessions.promotedAtMs(successor);
  const [promotedAtMs, wroteAtMs, returnedAtMs] = await Promise.all([
    promoted,
    promoted.then(firstWrite),
    cluster.promote(successor.name).then(nowMs),
  ]);
  for (const standby of standbys) {
    if (standby !== successor) await cluster.repoint(standby.name, successor.name);
  }
  await cluster.rejoin(former.name);
  await stage.whenSteady();
  return {
    killedMs: (await sessions.closedAtMs(former)) - crashedAtMs,
    demotedMs: demotedAtMs - crashedAtMs,
    writeMs: wroteAtMs - promotedAtMs,
    promoteMs: returnedAtMs - promotedAtMs,
  };
}

/** A standby that stops answering, under reads. */
export async function freezeStandby(stage: Stage): Promise<Measures> {
  await stage.whenSteady();
  const [standby] = stage.cluster.standbys;
  await using reader = stage.client();
  await using reads = stage.reads(reader);
  return await freeze(stage, standby ?? stage.cluster.primary, reads);
}

/**
 * A primary that stops answering, under reads and writes of one client: its reads must see its
 * writes, so that the primary has a share of them.
 */
export async function freezePrimary(stage: Stage): Promise<Measures> {
  await stage.whenSteady();
  await using client = stage.client();
  await using reads = stage.reads(client);
  await using _writes = stage.writes(client);
  return await freeze(stage, stage.cluster.primary, reads);
}

async function freeze(stage: Stage, node: EmbeddedNode, reads: PacedLoad): Promise<Measures> {
  const { cluster, states } = stage;
  const name = nameOf(node);
  await pause(LEAD_MS + Math.random() * PROBE_INTERVAL_MS);
  await stage.whenKnown();
  const state = states.of(name) ?? '';
  const frozenAtMs = await signalNode(node, 'SIGSTOP');
  try {
    await cluster.freeze(node.name);
    const leftAtMs = await states.whenLeft(name, state, frozenAtMs);
    await pause(AFTER_MS);
    // Before the thaw, which would free reads that nothing else has.
    const calls = await reads.stop();
    return { leftMs: leftAtMs - frozenAtMs, ...readMeasures(stage, calls, frozenAtMs) };
  } finally {
    await cluster.thaw(node.name);
  }
}

function readMeasures(stage: Stage, calls: readonly PacedCall[], sinceMs: number): Measures {
  const concerned = calls.filter(({ endedMs }) => endedMs >= sinceMs);
  return {
    reads: concerned.length,
    readsFailed: failuresIn(stage, 'reads', concerned),
    readWorstMs: worstMs(concerned),
    readGapMs: longestGapMs(concerned, sinceMs, NORMAL_READ_MS),
  };
}

/** How many failed; says why. */
function failuresIn(stage: Stage, what: string, calls: readonly PacedCall[]): number {
  const failures = Object.entries(failuresOf(calls));
  for (const [reason, count] of failures) stage.progress(`${count} ${what} failed: ${reason}`);
  return failures.reduce((sum, [, count]) => sum + count, 0);
}
