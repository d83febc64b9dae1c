/**
 * The faults of a run. Each names what it takes for itself, breaks it, and mends it again before it
 * resolves: after it the cluster is as whole as it was before.
 */

import { pause } from '../../src/lib/wait.js';
import type { Random } from '../support/random.js';
import type { HaManager } from './ha-manager.js';
import type { Rig } from './rig.js';

/** What a fault acts on. */
export interface FaultScene {
  readonly rig: Rig;
  readonly manager: HaManager;
  readonly random: Random;
}

/** One kind of fault. */
export interface Fault {
  readonly name: string;
  /** How often it is chosen beside the others. */
  readonly weight: number;
  /** Nodes and servers that it needs for itself, by name; chosen anew at each call. */
  takes(scene: FaultScene): readonly string[];
  /** Of the nodes that it has taken those that may be no good for reads meanwhile. */
  breaks(scene: FaultScene, taken: readonly string[]): readonly string[];
  /** Breaks what it has taken and mends it. */
  run(scene: FaultScene, taken: readonly string[]): Promise<void>;
}

const allNodes = ({ rig }: FaultScene) => rig.cluster.nodes.map(({ name }) => name);
const oneStandby = ({ rig, random }: FaultScene) => [random.pick(rig.cluster.standbys).name];
const oneNode = ({ rig, random }: FaultScene) => [random.pick(rig.cluster.nodes).name];
const oneServer = ({ rig, random }: FaultScene) => [random.pick(rig.servers).name];

/** Milliseconds from a range. */
const between = ({ random }: FaultScene, min: number, max: number) =>
  pause(min + random.below(max - min));

/** A fault of what it takes, by its name. */
function faultOf(
  name: string,
  weight: number,
  takes: Fault['takes'],
  act: (scene: FaultScene, taken: string) => Promise<void>,
): Fault {
  return {
    ...{ name, weight, takes, breaks: (_, taken) => taken },
    run: (scene, [taken = '']) => act(scene, taken),
  };
}

/** A fault of the primary: the standbys have to answer reads all the while. */
function primaryFault(
  name: string,
  weight: number,
  act: (scene: FaultScene) => Promise<void>,
): Fault {
  const breaks = ({ rig }: FaultScene) => [rig.cluster.primary.name];
  return { name, weight, takes: allNodes, breaks, run: act };
}

/** Faults of the primary, which end with another one or the same. */
const ofPrimary: readonly Fault[] = [
  primaryFault('crash of the primary, failover', 4, async (scene) => {
    const { manager, rig, random } = scene;
    const former = await manager.crashAndFailOver(random.below(800));
    await between(scene, 0, 1_500);
    await rig.cluster.rejoin(former);
  }),
  primaryFault('crash of the primary, restart', 2, async (scene) => {
    const { cluster } = scene.rig;
    await cluster.crash(cluster.primary.name);
    await between(scene, 0, 1_000);
    await cluster.restart(cluster.primary.name);
    await cluster.waitUntilCaughtUp();
  }),
  primaryFault('tail lost in a failover', 3, async (scene) => {
    const { manager, rig, random } = scene;
    for (const { name } of rig.cluster.standbys) await rig.cluster.cutReplication(name);
    await between(scene, 200, 1_200);
    const former = await manager.crashAndFailOver(random.below(300));
    if (random.below(2) === 0) {
      await manager.rejoinNaively(former);
      await between(scene, 500, 2_000);
    }
    await rig.cluster.rejoin(former);
  }),
  primaryFault('switchover', 2, async ({ rig, manager }) => {
    const former = rig.cluster.primary;
    await former.stop();
    await manager.failOver(performance.now());
    await rig.cluster.rejoin(former.name);
  }),
  primaryFault('former primary comes back', 2, async (scene) => {
    const { manager, rig, random } = scene;
    const former = await manager.crashAndFailOver(random.below(300));
    await between(scene, 0, 1_000);
    await rig.cluster.restart(former);
    await between(scene, 500, 2_000);
    await rig.cluster.rejoin(former);
  }),
  primaryFault('frozen primary', 2, async (scene) => {
    const { cluster } = scene.rig;
    await cluster.freeze(cluster.primary.name);
    await between(scene, 200, 3_000);
    await cluster.thaw(cluster.primary.name);
    await cluster.waitUntilCaughtUp();
  }),
  primaryFault('frozen primary, failover, thaw', 2, async (scene) => {
    const { cluster } = scene.rig;
    const former = cluster.primary.name;
    await cluster.freeze(former);
    const lostMs = performance.now();
    await between(scene, 200, 1_500);
    await scene.manager.failOver(lostMs);
    await between(scene, 100, 1_000);
    await cluster.thaw(former);
    await between(scene, 500, 2_000);
    await cluster.rejoin(former);
  }),
];

/** Faults of one standby. */
const ofStandby: readonly Fault[] = [
  faultOf('crash of a standby', 3, oneStandby, async (scene, node) => {
    await scene.rig.cluster.crash(node);
    await between(scene, 0, 2_000);
    await scene.rig.cluster.restart(node);
    await scene.rig.cluster.waitUntilCaughtUp(node);
  }),
  faultOf('frozen standby', 3, oneStandby, async (scene, node) => {
    await scene.rig.cluster.freeze(node);
    await between(scene, 200, 3_000);
    await scene.rig.cluster.thaw(node);
  }),
  faultOf('replay paused', 4, oneStandby, async (scene, node) => {
    await scene.rig.cluster.pauseReplay(node);
    await between(scene, 300, 4_000);
    await scene.rig.cluster.resumeReplay(node);
  }),
  faultOf('replication cut', 3, oneStandby, async (scene, node) => {
    const { cluster } = scene.rig;
    await cluster.cutReplication(node);
    await between(scene, 300, 3_000);
    await cluster.repoint(node, cluster.primary.name);
    await cluster.waitUntilCaughtUp(node);
  }),
];

/** Faults of lines and servers. */
const ofOthers: readonly Fault[] = [
  faultOf('black hole', 4, oneNode, async (scene, node) => {
    const { rig, random } = scene;
    const lines = rig.linesTo(node);
    // Either nobody hears of the node any more, or one server alone.
    const silent = random.below(2) === 0 ? lines : [random.pick(lines)];
    for (const line of silent) line.blackhole();
    await between(scene, 200, 3_000);
    for (const line of silent) line.restore();
  }),
  faultOf('connections reset', 3, oneNode, async ({ rig }, node) => {
    for (const line of rig.linesTo(node)) line.reset();
  }),
  faultOf('server killed', 2, oneServer, async (scene, name) => {
    const server = scene.rig.servers.find((each) => each.name === name);
    await server?.stop('SIGKILL');
    await between(scene, 0, 500);
    await server?.start();
  }),
  faultOf('server stopped in order', 1, oneServer, async (scene, name) => {
    const server = scene.rig.servers.find((each) => each.name === name);
    await server?.stop('SIGTERM');
    await server?.start();
  }),
];

/** All of them. */
export const faults: readonly Fault[] = [...ofPrimary, ...ofStandby, ...ofOthers];
