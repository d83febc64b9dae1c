/**
 * A PostgreSQL cluster as far as histories go: branches of the log, what was written on them, and
 * nodes that stand somewhere on one. It knows what the router must find out.
 */

import { type History, type HistoryPosition, promotionOf } from '../../src/postgres/history.js';
import type { Effect, NodeReport } from '../../src/postgres/router-state.js';
import { CLUSTER } from './topologies.js';

/** One timeline of one promotion: two promotions to one number are two branches. */
interface Branch {
  readonly timeline: number;
  readonly parent: Branch | undefined;
  readonly switchLsn: bigint;
}

/** What was written down somewhere on a branch. */
interface Entry {
  readonly branch: Branch;
  readonly lsn: bigint;
  readonly row?: { readonly of: Branch; readonly recordedAt: bigint };
  readonly acceptance?: { readonly generation: number; readonly abandonedTimeline: number };
}

/** Where a node stands. */
export interface Place {
  readonly branch: Branch;
  readonly lsn: bigint;
}

/** A server. */
export interface SimulatedNode {
  readonly name: string;
  place: Place;
  role: 'primary' | 'standby';
  isRunning: boolean;
  isReachable: boolean;
  starts: number;
  /** Of its last checkpoint. */
  checkpointTimeline: number;
}

const ROOT: Branch = { timeline: 1, parent: undefined, switchLsn: 0n };

/** What a promotion writes before anybody can record anything. */
const PROMOTION_BYTES = 64n;
const ENTRY_BYTES = 16n;

/** A write that was acknowledged, and its token. */
export interface AcknowledgedWrite {
  readonly entry: Entry;
  readonly token: HistoryPosition;
}

/** The cluster. */
export class SimulatedCluster {
  readonly nodes: readonly SimulatedNode[];
  readonly writes: AcknowledgedWrite[] = [];
  readonly #log: Entry[] = [];
  #clock = 0n;

  constructor(names: readonly string[]) {
    this.nodes = names.map((name, index) => ({
      name,
      place: { branch: ROOT, lsn: 1_000n },
      role: index === 0 ? 'primary' : 'standby',
      isRunning: true,
      isReachable: true,
      starts: 1,
      checkpointTimeline: 1,
    }));
  }

  /** Finds a node. */
  node(name: string): SimulatedNode {
    const found = this.nodes.find((node) => node.name === name);
    if (found === undefined) throw new Error(`no node ${name}`);
    return found;
  }

  /** Something happens on a primary; undefined where it takes no writes. */
  append(node: SimulatedNode, what: Omit<Entry, 'branch' | 'lsn'> = {}): Entry | undefined {
    if (!node.isRunning || node.role !== 'primary') return undefined;
    const lsn = node.place.lsn + ENTRY_BYTES;
    node.place = { ...node.place, lsn };
    const entry = { branch: node.place.branch, lsn, ...what };
    this.#log.push(entry);
    return entry;
  }

  /** A caller's write, acknowledged. */
  write(node: SimulatedNode): void {
    const entry = this.append(node);
    if (entry === undefined) return;
    const { timeline } = entry.branch;
    const row = this.#historyAt(node.place).timelines.at(-1);
    if (row?.timeline !== timeline) throw new Error('a write before its timeline was recorded');
    const promotion = promotionOf(row);
    const { lsn } = entry;
    this.writes.push({ entry, token: { timeline, promotion, lsn, precision: 'exact' } });
  }

  /** A standby replays some of what a primary has that it can follow. */
  replicate(node: SimulatedNode, from: SimulatedNode, share: number): void {
    const { place } = from;
    if (node === from || node.role !== 'standby' || !node.isRunning) return;
    if (from.role !== 'primary' || !from.isRunning || !this.#isRecorded(place)) return;
    if (!isOn(place, node.place)) return;
    const gap = place.lsn - node.place.lsn;
    const lsn = node.place.lsn + (gap * BigInt(Math.round(share * 100))) / 100n;
    node.place = { branch: branchAt(place, lsn), lsn };
  }

  /** A branch that nobody recorded, and that is given up, leaves nothing to know it by. */
  #isRecorded(place: Place): boolean {
    return this.#historyAt(place).timelines.at(-1)?.timeline === place.branch.timeline;
  }

  /** Makes a running standby a primary on a branch of its own. */
  promote(node: SimulatedNode): void {
    if (node.role !== 'standby' || !node.isRunning) return;
    const { branch: parent, lsn: switchLsn } = node.place;
    const branch = { timeline: parent.timeline + 1, parent, switchLsn };
    node.role = 'primary';
    node.place = { branch, lsn: switchLsn + PROMOTION_BYTES };
  }

  /** Starts again, as what it was or, as a careless operator would, as a standby. */
  restart(node: SimulatedNode, role: SimulatedNode['role'] = node.role): void {
    node.role = role;
    node.isRunning = true;
    node.starts += 1;
    node.checkpointTimeline = node.place.branch.timeline;
  }

  /** Copies a primary. */
  rebuild(node: SimulatedNode, from: SimulatedNode): void {
    if (node === from || from.role !== 'primary') return;
    node.place = from.place;
    this.restart(node, 'standby');
  }

  /** What a node would say of itself. */
  report(node: SimulatedNode, askedAtMs: number): NodeReport {
    const { place, role, name, starts, checkpointTimeline } = node;
    return {
      askedAtMs,
      role,
      systemIdentifier: CLUSTER,
      timeline: role === 'primary' ? place.branch.timeline : undefined,
      checkpointTimeline,
      lsn: place.lsn,
      startedAt: `${name} ${starts}`,
      history: this.#historyAt(place),
      drained: [],
    };
  }

  /** Does what the state machine asks for, where the node still takes it. */
  obey(effect: Effect): void {
    if (effect.kind !== 'record_timeline' && effect.kind !== 'record_acceptance') return;
    const node = this.node(effect.node);
    if (!node.isReachable || !node.isRunning || node.role !== 'primary') return;
    if (effect.kind === 'record_acceptance') {
      const { generation, timeline } = effect.abandoned;
      const acceptance = { generation: generation + 1, abandonedTimeline: timeline };
      this.append(node, { acceptance });
      return;
    }
    const known = new Set(this.#historyAt(node.place).timelines.map((row) => row.timeline));
    for (const of of pathOf(node.place.branch)) {
      if (known.has(of.timeline)) continue;
      this.#clock += 1n;
      this.append(node, { row: { of, recordedAt: this.#clock } });
    }
  }

  /** Whether a node at the place has what was written. */
  has(place: Place, { branch, lsn }: Entry): boolean {
    return isOn(place, { branch, lsn });
  }

  /** Whether all that a standby shows is, or will be, what a primary has. */
  isPartOf(standby: Place, primary: Place): boolean {
    const isLater = (entry: Entry) => entry.branch === primary.branch && entry.lsn > primary.lsn;
    return this.#log
      .filter((entry) => this.has(standby, entry))
      .every((entry) => this.has(primary, entry) || isLater(entry));
  }

  /** Whether a node that shows a position has all that was written before it. */
  isWhole(standby: Place, primary: Place): boolean {
    return this.#log
      .filter((entry) => this.has(primary, entry) && entry.lsn <= standby.lsn)
      .every((entry) => this.has(standby, entry));
  }

  #historyAt(place: Place): History {
    const entries = this.#log.filter((entry) => this.has(place, entry));
    const timelines = entries.flatMap(({ row, lsn }) => {
      if (row === undefined) return [];
      const { timeline, switchLsn } = row.of;
      return [{ timeline, switchLsn, recordedLsn: lsn, recordedAt: row.recordedAt }];
    });
    const acceptances = entries.flatMap(({ acceptance }) => acceptance ?? []);
    return {
      timelines: timelines.toSorted((a, b) => a.timeline - b.timeline),
      acceptances: acceptances.toSorted((a, b) => a.generation - b.generation),
    };
  }
}

/** The branches from the first to this one. */
function pathOf(branch: Branch): Branch[] {
  return branch.parent === undefined ? [branch] : [...pathOf(branch.parent), branch];
}

/** Whether what happened up to `earlier` is part of what a node at `place` has. */
export function isOn(place: Place, earlier: Place): boolean {
  const path = pathOf(place.branch);
  const index = path.indexOf(earlier.branch);
  if (index < 0) return false;
  return earlier.lsn <= (path[index + 1]?.switchLsn ?? place.lsn);
}

/** The branch that a node on its way to `place` is on. */
function branchAt(place: Place, lsn: bigint): Branch {
  const path = pathOf(place.branch);
  return path.findLast((branch) => branch.switchLsn < lsn) ?? ROOT;
}
