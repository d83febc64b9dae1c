/**
 * The router's transition table, without gaps: what becomes of a node in each state at each event.
 * The compiler refuses a missing cell, test/unit/router-transitions.test.ts proves each one, and
 * docs/router.md shows it.
 */

import type { NodeState } from '../../src/postgres/router-state.js';

/** What may be learned of a node; see docs/router.md. */
export type NodeEvent =
  | 'claims'
  | 'claims unrecorded'
  | 'claims a former timeline'
  | 'claims the same timeline'
  | 'follows'
  | 'follows, drained'
  | 'trails'
  | 'is between'
  | 'is past the switch'
  | 'is of another cluster'
  | 'is silent'
  | 'is silent again'
  | 'is lost'
  | 'is demoted'
  | 'is crowded';

/** In the order of the states' severity. */
export const nodeStates = [
  'unknown',
  'primary',
  'standby',
  'lagging',
  'draining',
  'unreachable',
  'fenced',
] as const satisfies readonly NodeState[];

type Row = Readonly<Record<(typeof nodeStates)[number], NodeState>>;

/** The same state from every state. */
const always = (to: NodeState): Row => ({
  unknown: to,
  primary: to,
  standby: to,
  lagging: to,
  draining: to,
  unreachable: to,
  fenced: to,
});

const unchanged: Row = {
  unknown: 'unknown',
  primary: 'primary',
  standby: 'standby',
  lagging: 'lagging',
  draining: 'draining',
  unreachable: 'unreachable',
  fenced: 'fenced',
};

/** Event, then state before: state afterwards. */
export const transitionTable: Readonly<Record<NodeEvent, Row>> = {
  claims: always('primary'),
  'claims unrecorded': always('unknown'),
  'claims a former timeline': always('fenced'),
  // Where it was the primary itself, nobody else claims its timeline.
  'claims the same timeline': { ...always('fenced'), primary: 'primary' },
  follows: always('standby'),
  'follows, drained': always('draining'),
  // Without a primary there is nothing to be late behind.
  trails: { ...always('lagging'), primary: 'standby' },
  'is between': always('unknown'),
  'is past the switch': always('fenced'),
  'is of another cluster': always('fenced'),
  'is silent': unchanged,
  'is silent again': always('unreachable'),
  'is lost': always('unreachable'),
  'is demoted': { ...always('unknown') },
  'is crowded': unchanged,
};

/** The table as docs/router.md has it. */
export function renderTransitions(): string {
  const lines = Object.entries(transitionTable).map(
    ([event, row]) => `| ${event} | ${nodeStates.map((state) => row[state]).join(' | ')} |`,
  );
  return [
    `| event | ${nodeStates.join(' | ')} |`,
    `|---|${nodeStates.map(() => '---|').join('')}`,
    ...lines,
  ].join('\n');
}
