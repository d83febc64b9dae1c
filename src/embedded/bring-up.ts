/**
 * Brings a cluster's nodes up from whatever its data folder holds: nothing, a cluster stopped in
 * order, one whose primary crashed, one with another number of standbys. Standbys are disposable:
 * one that cannot follow is rebuilt from the primary; the primary's data is never touched.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { until } from '../lib/wait.js';
import { rebuildFrom } from './backup.js';
import type { ClusterContext } from './context.js';
import { EmbeddedError } from './embedded-error.js';
import { exists, removeTree } from './files.js';
import { copyAsStandby, initialise, partialFolder } from './initialise.js';
import { EmbeddedNode } from './node.js';
import { chooseFreePort, isPortFree } from './ports.js';
import {
  arrangeSlots,
  readFlushLsn,
  readTimeline,
  renewSlot,
  streams,
  waitForReplay,
} from './replication.js';
import { type ClusterState, listNodeFolders, readState, writeState } from './state.js';

const NODE_NAMES = 'abcdefghi';
const STREAMING_TIMEOUT_MS = 5_000;
const CATCH_UP_TIMEOUT_MS = 120_000;
const PORT_ATTEMPTS = 5;

/** The nodes of a cluster that is up. */
export interface BroughtUp {
  readonly nodes: readonly EmbeddedNode[];
  readonly primary: EmbeddedNode;
}

/** Starts the primary, then the standbys; resolves once all stream and have caught up. */
export async function bringUp(
  context: ClusterContext,
  standbyCount: number,
  ports: readonly number[] | undefined,
): Promise<BroughtUp> {
  const state = (await readState(context.folder)) ?? (await createCluster(context, standbyCount));
  await refuseOtherVersion(context, state.primary);
  const names = chooseNames(state.primary, await listNodeFolders(context.folder), standbyCount);
  await removeSurplus(context, names);
  const nodes = names.map((name) => new EmbeddedNode(name, context));
  const primary = nodes.find((node) => node.name === state.primary);
  if (primary === undefined) {
    throw new EmbeddedError('DATA_BROKEN', `${state.primary} is no name of a node`);
  }
  const chooser = new PortChooser(names, state.ports, ports);
  const standbys = nodes.filter((node) => node !== primary);
  await startPrimary(context, primary, chooser);
  await startStandbys(context, primary, standbys, chooser);
  await writeState(context.folder, {
    primary: primary.name,
    ports: Object.fromEntries(nodes.map((node) => [node.name, node.port])),
  });
  return { nodes, primary };
}

async function createCluster(context: ClusterContext, standbys: number): Promise<ClusterState> {
  context.onProgress('making an empty database cluster');
  const primary = 'a';
  const folder = join(context.folder, primary);
  await initialise(context, folder);
  const state = { primary, ports: {} };
  await writeState(context.folder, state);
  const others = chooseNames(primary, [], standbys).slice(1);
  await Promise.all(
    others.map((name) => copyAsStandby(context, folder, join(context.folder, name))),
  );
  return state;
}

/** Chooses the primary and the first of those that are there, then of the letters not in use. */
export function chooseNames(
  primary: string,
  existing: readonly string[],
  standbyCount: number,
): string[] {
  const candidates = [...existing, ...NODE_NAMES].filter((name) => name !== primary);
  return [primary, ...[...new Set(candidates)].slice(0, standbyCount)].sort();
}

async function refuseOtherVersion(context: ClusterContext, primary: string): Promise<void> {
  const text = await readFile(join(context.folder, primary, 'PG_VERSION'), 'utf8');
  const found = Number(text.trim());
  const { majorVersion } = context.binaries;
  if (found !== majorVersion) {
    throw new EmbeddedError(
      'DATA_VERSION_MISMATCH',
      `the data in ${context.folder} was made by PostgreSQL ${found}, this is PostgreSQL ` +
        `${majorVersion}: dump it with the former version, or remove the folder to start empty`,
    );
  }
}

async function removeSurplus(context: ClusterContext, wanted: readonly string[]): Promise<void> {
  for (const name of NODE_NAMES) {
    await removeTree(partialFolder(join(context.folder, name)));
  }
  for (const name of await listNodeFolders(context.folder)) {
    if (!wanted.includes(name)) {
      context.onProgress(`removing the standby ${name}`);
      await removeTree(join(context.folder, name));
    }
  }
}

async function startPrimary(
  context: ClusterContext,
  primary: EmbeddedNode,
  chooser: PortChooser,
): Promise<void> {
  context.onProgress(`starting the primary ${primary.name}`);
  await primary.configure(undefined);
  await chooser.start(primary);
  if (primary.role === 'standby') {
    // The last process died between deciding on a promotion and doing it.
    await primary.query('select pg_promote(true, 30)');
  }
  const made = await primary.query('select from pg_database where datname = $1', [
    context.database,
  ]);
  if (made.length === 0) {
    await primary.query(`create database "${context.database.replaceAll('"', '""')}"`);
  }
}

async function startStandbys(
  context: ClusterContext,
  primary: EmbeddedNode,
  standbys: readonly EmbeddedNode[],
  chooser: PortChooser,
): Promise<void> {
  const lost = await arrangeSlots(
    primary,
    standbys.map((node) => node.name),
  );
  if (standbys.length === 0) {
    return;
  }
  context.onProgress(`starting ${standbys.map((node) => node.name).join(' and ')} as standbys`);
  await Promise.all(
    standbys.map(async (node) => {
      const isFollower = await exists(join(node.folder, 'standby.signal'));
      if (lost.includes(node.name) || !isFollower) {
        await rebuild(context, primary, node);
      }
      await node.configure({ port: primary.port });
      try {
        await chooser.start(node);
      } catch (error) {
        if (!(error instanceof EmbeddedError) || error.reason !== 'START_FAILED') {
          throw error;
        }
        await rebuildAndStart(context, primary, node);
      }
    }),
  );
  await rebuildThoseThatDoNotFollow(context, primary, standbys);
  const lsn = await readFlushLsn(primary);
  await Promise.all(standbys.map((node) => waitForReplay(primary, node, lsn, CATCH_UP_TIMEOUT_MS)));
}

/** A standby that has log of its own, which the primary never had, starts but never follows. */
async function rebuildThoseThatDoNotFollow(
  context: ClusterContext,
  primary: EmbeddedNode,
  standbys: readonly EmbeddedNode[],
): Promise<void> {
  const end = performance.now() + STREAMING_TIMEOUT_MS;
  const timeline = await readTimeline(primary);
  const missing = async () => {
    // One that has ended meanwhile streams nothing.
    const isThere = (node: EmbeddedNode) => streams(node, timeline).catch(() => false);
    const follow = await Promise.all(standbys.map(isThere));
    return standbys.filter((_, index) => !follow[index]);
  };
  await until(async () => (await missing()).length === 0 || performance.now() > end, {
    timeoutMs: STREAMING_TIMEOUT_MS * 2,
    pollMs: 20,
    what: 'the standbys stream',
  });
  for (const node of await missing()) {
    await node.kill();
    await rebuildAndStart(context, primary, node);
  }
}

async function rebuildAndStart(
  context: ClusterContext,
  primary: EmbeddedNode,
  node: EmbeddedNode,
): Promise<void> {
  await rebuild(context, primary, node);
  await node.configure({ port: primary.port });
  await node.start(node.port);
}

async function rebuild(
  context: ClusterContext,
  primary: EmbeddedNode,
  node: EmbeddedNode,
): Promise<void> {
  context.onProgress(`building the standby ${node.name} from the primary ${primary.name}`);
  await renewSlot(primary, node.name);
  await rebuildFrom(context, primary, node);
}

/** Gives each node its port: the one asked for, else the last one if free, else a free one. */
class PortChooser {
  readonly #asked: ReadonlyMap<string, number>;
  readonly #last: Readonly<Record<string, number>>;
  readonly #given = new Set<number>();

  constructor(
    names: readonly string[],
    last: Readonly<Record<string, number>>,
    asked: readonly number[] | undefined,
  ) {
    if (asked !== undefined && asked.length !== names.length) {
      throw new EmbeddedError(
        'OPTION_INVALID',
        `${names.length} nodes need ${names.length} ports, not ${asked.length}`,
      );
    }
    this.#asked = new Map(names.map((name, index) => [name, asked?.[index] ?? 0]));
    this.#last = last;
  }

  /** Starts a node; a free port that another process takes first is replaced, one asked for not. */
  async start(node: EmbeddedNode): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      const asked = this.#asked.get(node.name) ?? 0;
      const port = asked === 0 ? await this.#choose(node.name) : asked;
      this.#given.add(port);
      try {
        await node.start(port);
        return;
      } catch (error) {
        const isTaken = error instanceof EmbeddedError && error.reason === 'PORT_TAKEN';
        if (!isTaken || asked !== 0 || attempt === PORT_ATTEMPTS) {
          throw error;
        }
      }
    }
  }

  async #choose(name: string): Promise<number> {
    const last = this.#last[name];
    return last !== undefined && !this.#given.has(last) && (await isPortFree(last))
      ? last
      : chooseFreePort(this.#given);
  }
}
