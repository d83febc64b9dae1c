import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { NodeReport, NodeState, Topology } from '../../src/postgres/router-state.js';
import {
  type NodeEvent,
  nodeStates,
  renderTransitions,
  transitionTable,
} from '../support/router-transitions.js';
import { history, type Observation, observe, report, row, seen } from '../support/topologies.js';

/** The node that the events are of, and another one, which is the primary where it is not. */
const NODE = 'b';
const OTHER = 'a';

const past = history(row(1), row(2, 100n, { recordedLsn: 200n }));
const NOW_MS = 60_000;

/** The primary of the second timeline has flushed 1,000,000 bytes for a minute. */
const primary = (facts: Partial<NodeReport> = {}) =>
  report('primary', { timeline: 2, lsn: 1_000_000n, askedAtMs: NOW_MS, history: past, ...facts });
const standby = (facts: Partial<NodeReport> = {}) =>
  report('standby', { lsn: 1_000_000n, askedAtMs: NOW_MS, history: past, ...facts });

const former = history(row(1));
const rivals = history(row(1), row(2, 100n, { recordedLsn: 200n, recordedAt: 9n }));
const next = history(...past.timelines, row(3, 1_000_000n, { recordedAt: 5n }));

const events: Readonly<Record<NodeEvent, readonly Observation[]>> = {
  claims: [primary({ timeline: 3, history: next })],
  'claims unrecorded': [primary({ timeline: 3 })],
  'claims a former timeline': [primary({ timeline: 1, history: former })],
  'claims the same timeline': [primary({ history: rivals })],
  follows: [standby()],
  'follows, drained': [standby({ drained: [NODE] })],
  trails: [standby({ lsn: 999_999n })],
  'is between': [standby({ lsn: 150n, history: former })],
  'is past the switch': [standby({ history: former })],
  'is of another cluster': [standby({ systemIdentifier: 8n })],
  'is silent': [{ kind: 'silent' }],
  'is silent again': [{ kind: 'silent' }, { kind: 'silent' }],
  'is lost': [{ kind: 'lost' }],
  'is demoted': [{ kind: 'demoted' }],
  'is crowded': [{ kind: 'crowded' }],
};

/** How the node comes into each state, beside the primary. */
const beginnings: Readonly<Record<NodeState, readonly Observation[]>> = {
  unknown: [],
  primary: [primary()],
  standby: [standby()],
  lagging: [standby({ lsn: 999_999n })],
  draining: [standby({ drained: [NODE] })],
  unreachable: [{ kind: 'lost' }],
  fenced: [standby({ history: rivals })],
};

/** The other node's word: the primary's, or a standby's where the node itself is the primary. */
function other(state: NodeState, drained: readonly string[] = []): Observation {
  return state === 'primary' ? standby({ drained }) : primary({ drained });
}

function inState(state: NodeState): Topology {
  const drained = state === 'draining' ? [NODE] : [];
  const long = primary({ askedAtMs: 0 });
  const begun = state === 'primary' ? seen() : seen([OTHER, long]);
  const met = observe(begun, OTHER, other(state, drained));
  return beginnings[state].reduce((topology, event) => observe(topology, NODE, event), met);
}

describe('the transition table', () => {
  it.each(
    nodeStates.flatMap((state) =>
      Object.entries(transitionTable).map(
        ([event, row]) => [state, event as NodeEvent, row[state]] as const,
      ),
    ),
  )('leads from %s, as the node %s, to %s', (from, event, to) => {
    const before = inState(from);
    expect(before.nodes.get(NODE)?.state).toBe(from);
    // What is drained stands in the data of the primary, before the node itself is asked.
    const drained = event === 'follows, drained' ? [NODE] : [];
    const speaks = event.startsWith('follows') || event === 'trails';
    const told = speaks ? observe(before, OTHER, other(from, drained)) : before;
    const after = events[event].reduce((topology, seen) => observe(topology, NODE, seen), told);
    expect(after.nodes.get(NODE)?.state).toBe(to);
  });

  it('is the one of docs/router.md', async () => {
    const page = await readFile(join(import.meta.dirname, '../../docs/router.md'), 'utf8');
    expect(page).toContain(renderTransitions());
  });
});
