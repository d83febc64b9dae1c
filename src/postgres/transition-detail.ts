/** What a transition's event was, in words for a person. Pure. */

import type { FenceReason, NodeState, RouterEvent } from './router-state.js';

const seen: Readonly<Record<RouterEvent['kind'], string>> = {
  report: 'it answered its probe',
  silent: 'it did not answer two probes in a row',
  lost: 'a connection was refused or lost',
  demoted: 'it has another role or start than it was known for',
  crowded: 'it had no room',
  token: 'a token tells of a newer timeline',
};

const fences: Readonly<Record<FenceReason, string>> = {
  other_cluster: 'it is of another cluster',
  former_primary: 'it takes writes on a timeline that was replaced',
  diverged: 'it has replayed what the present history lacks',
  split_brain: 'another node takes writes on the same timeline',
};

/** A code of the operating system or of PostgreSQL gives nothing away: `ECONNREFUSED`, `57P01`. */
const CODE = /^[A-Z0-9_]{5,40}$/;

/**
 * The sentence of a transition.
 * @param cause the error behind the event; only its code is told.
 */
export function transitionDetail(
  event: RouterEvent,
  { node, to }: { readonly node: string; readonly to: NodeState },
  fence: FenceReason | undefined,
  cause: unknown,
): string {
  const isOwn = event.kind !== 'token' && event.node === node;
  const where = isOwn || event.kind === 'token' ? '' : ` (${event.node})`;
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  const why = CODE.test(code) ? ` (${code})` : '';
  const fenced = to === 'fenced' && fence !== undefined ? `: ${fences[fence]}` : '';
  return `${seen[event.kind]}${where}${why}${fenced}`;
}
