/** Puts a health report together: what is known, judged. Pure. */

import type { NodeHealth } from '../../../gen/stowage/v1/health_pb.js';
import type { TopologySnapshot } from '../../postgres/router-handle.js';
import { byUrgency, type Finding, finding } from './findings.js';
import { knownFindings, toldFindings } from './node-verdicts.js';
import type { Reads } from './recent-reads.js';

/** The answering server's own state. */
export interface ServerVitals {
  /** The program's version. */
  readonly version: string;
  /** When the process started, on the clock of `Date.now()`. */
  readonly startedAtMs: number;
  /** Unary calls that run now. */
  readonly unaryCalls: number;
  /** Streams that run now. */
  readonly streams: number;
  /** How late timers were in the last seconds: the 99th percentile. */
  readonly eventLoopDelayMs: number;
  readonly heapUsedBytes: number;
  readonly rssBytes: number;
  /** It stops, and sends its callers elsewhere. */
  readonly isDraining: boolean;
}

/** What is known of one node beside the topology. */
export interface NodeKnowledge {
  /** What it last told; undefined: nothing yet. */
  readonly told: NodeHealth | undefined;
  /** How long ago; default 0. */
  readonly toldMsAgo?: number;
  /** For how long it has been asked in vain, in ms; undefined: it has answered. */
  readonly silentMs: number | undefined;
  /** What it has read in the last minutes; undefined: not known. */
  readonly reads?: Reads;
}

/** How a server and its nodes are. */
export interface HealthReport {
  readonly status: 'ok' | 'degraded' | 'down';
  readonly canRead: boolean;
  readonly canWrite: boolean;
  /** On the clock of `Date.now()`. */
  readonly atMs: number;
  readonly server: ServerVitals;
  readonly topology: TopologySnapshot;
  /** What nodes told, by their names. */
  readonly told: ReadonlyMap<string, NodeHealth>;
  /** The most urgent first. */
  readonly findings: readonly Finding[];
}

/** Less is what a short collection of garbage costs. */
const EVENT_LOOP_DELAY_MAX_MS = 100;

const SILENCE_MAX_MS = 5_000;

/** What a node told before says nothing of now: nobody may have asked since. */
const TOLD_MAX_MS = 5 * 60_000;

/** @param known of nodes by their names; of those that are missing nothing is known. */
export function makeReport(
  topology: TopologySnapshot,
  known: ReadonlyMap<string, NodeKnowledge>,
  server: ServerVitals,
): HealthReport {
  const canRead = topology.canRead && !server.isDraining;
  const canWrite = topology.hasPrimary && !server.isDraining;
  const findings = byUrgency([
    ...clusterFindings(topology),
    ...serverFindings(server),
    ...topology.nodes.flatMap((node) => nodeFindings(node, known.get(node.name))),
  ]);
  const told = [...known].flatMap(([name, node]) =>
    node.told ? ([[name, node.told]] as const) : [],
  );
  const isWell = canRead && canWrite && findings.length === 0;
  return {
    status: !canRead ? 'down' : isWell ? 'ok' : 'degraded',
    canRead,
    canWrite,
    atMs: Date.now(),
    server,
    topology,
    told: new Map(told),
    findings,
  };
}

function clusterFindings({ nodes, canRead, hasPrimary }: TopologySnapshot): Finding[] {
  if (!canRead) return [finding('NO_NODE', '', 'No node can be read')];
  if (!hasPrimary) return [finding('NO_PRIMARY', '', 'No node takes writes')];
  const isAlone = !nodes.some(({ state }) => standbys.has(state));
  if (nodes.length === 1 || !isAlone) return [];
  return [finding('NO_STANDBY', '', 'The primary is the only node that can be read')];
}

const standbys: ReadonlySet<string> = new Set(['standby', 'lagging', 'draining']);

function serverFindings({ eventLoopDelayMs, isDraining }: ServerVitals): Finding[] {
  const findings: Finding[] = [];
  if (isDraining) findings.push(finding('SERVER_DRAINING', '', 'The server stops'));
  if (eventLoopDelayMs >= EVENT_LOOP_DELAY_MAX_MS) {
    const seen = `One in a hundred timers comes ${Math.round(eventLoopDelayMs)} ms late`;
    findings.push(finding('EVENT_LOOP_SLOW', '', seen));
  }
  return findings;
}

/** What a node told once says nothing of how it is now that it is gone or silent. */
function nodeFindings(
  node: TopologySnapshot['nodes'][number],
  { told, toldMsAgo = 0, silentMs = 0, reads }: Partial<NodeKnowledge> = {},
): Finding[] {
  const findings = knownFindings(node);
  if (node.state === 'unreachable') return findings;
  if (silentMs >= SILENCE_MAX_MS) {
    const seen = `${node.name} has told nothing of itself for ${Math.round(silentMs / 1000)} s`;
    return [...findings, finding('NODE_NOT_ANSWERING', node.name, seen)];
  }
  if (told === undefined || toldMsAgo > TOLD_MAX_MS) return findings;
  return [...findings, ...toldFindings(node, told, reads)];
}
