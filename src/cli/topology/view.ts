/** The cluster as text: nodes as a table, what can be done with them, transitions as lines. */

import type { Timestamp } from '@bufbuild/protobuf/wkt';
import {
  FenceReason,
  type Node,
  NodeState,
  type NodeTransition,
  type PoolStatus,
  type Topology,
} from '../../client/index.js';
import { formatBytes } from '../scan/format.js';
import { escapeText } from '../scan/names.js';
import { type Column, renderTable } from '../table.js';

/** A state as the router's pages name it. */
export function stateName(state: NodeState): string {
  // A state of a newer server has a number only.
  return NodeState[state]?.toLowerCase() ?? String(state);
}

/** The state, and what else decides which calls the node gets. */
function stateCell({ state, fenceReason, drained, doubted }: Node): string {
  const notes = [
    ...(fenceReason === FenceReason.UNSPECIFIED ? [] : [fenceName(fenceReason)]),
    ...(drained && state !== NodeState.DRAINING ? ['drained'] : []),
    ...(doubted ? ['doubted'] : []),
  ];
  return notes.length === 0 ? stateName(state) : `${stateName(state)} (${notes.join(', ')})`;
}

function fenceName(reason: FenceReason): string {
  return FenceReason[reason]?.toLowerCase().replaceAll('_', ' ') ?? String(reason);
}

function lagCell({ lagMs }: Node): string {
  return lagMs === undefined ? '' : `${Math.ceil(lagMs)} ms`;
}

/** What calls have, what is open, who waits. */
function poolCell(pool: PoolStatus | undefined): string {
  return pool === undefined ? '' : `${pool.acquired}/${pool.size}/${pool.waiting}`;
}

const columns: readonly Column<Node>[] = [
  { title: 'NODE', cell: ({ name }) => name },
  { title: 'STATE', cell: stateCell },
  {
    title: 'TIMELINE',
    cell: ({ timeline }) => (timeline === 0 ? '' : String(timeline)),
    align: 'right',
  },
  { title: 'LSN', cell: ({ lsn }) => lsn, align: 'right' },
  { title: 'LAG', cell: lagCell, align: 'right' },
  {
    title: 'BEHIND',
    cell: ({ lagBytes }) => (lagBytes === undefined ? '' : formatBytes(lagBytes)),
    align: 'right',
  },
  { title: 'CALLS', cell: ({ unaryPool }) => poolCell(unaryPool), align: 'right' },
  { title: 'STREAMS', cell: ({ streamsPool }) => poolCell(streamsPool), align: 'right' },
];

/** What the cluster as a whole can do, in one line. */
export function clusterLine({ primary, epoch, timeline, canRead, canWrite }: Topology): string {
  return [
    `primary ${primary === '' ? 'unknown' : escapeText(primary)}`,
    `epoch ${epoch}`,
    `timeline ${timeline === 0 ? 'unknown' : timeline}`,
    canRead ? 'readable' : 'not readable',
    canWrite ? 'writable' : 'not writable',
  ].join('  ');
}

/** The cluster in one line, and its nodes as a table; each line with its end. */
export function topologyText(topology: Topology): string {
  return `${clusterLine(topology)}\n\n${renderTable(columns, topology.nodes)}`;
}

/** To the millisecond, in UTC; all have the same length. */
function timeText(time: Timestamp | undefined): string {
  if (time === undefined) return '';
  return new Date(Number(time.seconds) * 1000 + time.nanos / 1e6).toISOString();
}

/** One change of one node's state, without a line's end. */
export function transitionLine({ node, fromState, toState, detail, time }: NodeTransition): string {
  const change = `${stateName(fromState)} -> ${stateName(toState)}`;
  const seen = detail === '' ? '' : `  ${escapeText(detail)}`;
  return `${timeText(time)}  ${escapeText(node)}  ${change}${seen}`;
}
