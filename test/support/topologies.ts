/** Topologies for tests of what is pure, made of what nodes might say. */

import type { History, TimelineRow } from '../../src/postgres/history.js';
import {
  type NodeReport,
  type RouterEvent,
  step,
  type Topology,
  unknownTopology,
} from '../../src/postgres/router-state.js';

/** The system identifier of the tests' cluster. */
export const CLUSTER = 7n;

type Distribute<T> = T extends unknown ? Omit<T, 'node'> : never;

/** An event without its node's name. */
export type Observation = Distribute<Exclude<RouterEvent, { kind: 'token' }>>;

/** A node's word: a primary of timeline 1 or its standby, of a database without history. */
export function report(role: 'primary' | 'standby', facts: Partial<NodeReport> = {}): Observation {
  return {
    kind: 'report',
    report: {
      askedAtMs: 0,
      role,
      systemIdentifier: CLUSTER,
      timeline: role === 'primary' ? 1 : undefined,
      checkpointTimeline: 0,
      lsn: 100n,
      startedAt: '',
      history: undefined,
      drained: [],
      ...facts,
    },
  };
}

/** A timeline's row, recorded where it begins. */
export function row(timeline: number, switchLsn = 0n, facts: Partial<TimelineRow> = {}) {
  return { timeline, switchLsn, recordedLsn: switchLsn, recordedAt: 1n, ...facts };
}

/** A history of timelines. */
export function history(...timelines: readonly TimelineRow[]): History {
  return { timelines, acceptances: [] };
}

/** Takes an observation of a node in; a node that does not say otherwise has never restarted. */
export function observe(topology: Topology, node: string, observation: Observation): Topology {
  return step(topology, eventOf(node, observation)).topology;
}

/** An observation as the event of a node. */
export function eventOf(node: string, observation: Observation): RouterEvent {
  if (observation.kind !== 'report') return { ...observation, node };
  const { report } = observation;
  return { kind: 'report', node, report: { ...report, startedAt: report.startedAt || node } };
}

/** Takes observations in, by node. */
export function seen(...observations: readonly (readonly [string, Observation])[]): Topology {
  return observations.reduce(
    (topology, [name, observation]) => observe(topology, name, observation),
    unknownTopology(['a', 'b', 'c']),
  );
}
