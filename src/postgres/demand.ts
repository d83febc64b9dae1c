/** From what a caller asked and sent to what a read needs of its node. */

import { StowageError } from '../errors.js';
import { assertNever } from '../lib/assert.js';
import { laterToken, type Token } from '../lib/token-layout.js';
import type { Call } from './call.js';
import { type Demand, type Route, STALENESS_DEFAULT_MS } from './freshness.js';

/**
 * The demand of a call. The tokens of its metadata count where its request says nothing; what a
 * request asks for explicitly is neither raised nor lowered.
 * @param parse verifies a token.
 * @throws what `parse` throws, for any token that counts.
 */
export async function demandOf(
  call: Call,
  parse: (text: string) => Promise<Token>,
): Promise<Demand> {
  const { freshness } = call;
  switch (freshness.kind) {
    case 'strong':
      return { kind: 'primary' };
    case 'eventual':
      return freshness;
    case 'max_staleness':
      return { kind: 'max_staleness', stalenessMs: freshness.stalenessMs, isImplicit: false };
    case 'at_least':
      return { kind: 'at_least', token: await parse(freshness.token) };
    case 'default': {
      const tokens = await Promise.all(call.tokens.map(parse));
      const [first, ...others] = tokens;
      if (first !== undefined) return { kind: 'at_least', token: others.reduce(laterToken, first) };
      return { kind: 'max_staleness', stalenessMs: STALENESS_DEFAULT_MS, isImplicit: true };
    }
    default:
      return assertNever(freshness);
  }
}

/**
 * Refuses what a primary read whose log does not reach the caller's token: the write that the token
 * stands for is gone. Checked after the read, for a probe's LSN is older than a fresh token.
 * @throws StowageError TOKEN_HISTORY_LOST.
 */
export function requireHistory(demand: Demand, route: Route, lsn: bigint | undefined): void {
  if (demand.kind !== 'at_least' || route.role !== 'primary') return;
  if (lsn !== undefined && lsn < demand.token.lsn) throw new StowageError('TOKEN_HISTORY_LOST');
}
