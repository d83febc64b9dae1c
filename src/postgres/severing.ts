/** Which of a node's connections are of no use any more, after what was learned of it. Pure. */

import type { NodeFacts } from './router-state.js';

/** Unanswered probes in a row that count as loss. */
export const SILENCES_MAX = 2;

/**
 * The connections that an event has ended; undefined: none. A lost one tells of the idle ones only:
 * those that are lent find out by themselves, and one backend that was ended must not take the
 * others with it. Silence counts by itself: a node that was lost before it fell silent may hold
 * calls that nothing else would ever end.
 */
export function severedBy(
  before: NodeFacts | undefined,
  node: NodeFacts,
  isRestarted: boolean,
): 'idle' | 'all' | undefined {
  const isSilent = node.silences >= SILENCES_MAX && (before?.silences ?? 0) < SILENCES_MAX;
  const isNew = before?.state !== node.state;
  if (isSilent || (isNew && node.state === 'fenced')) return 'all';
  return isRestarted || (isNew && node.state === 'unreachable') ? 'idle' : undefined;
}
