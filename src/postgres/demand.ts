/** From what a caller asked and sent to what a read needs of its node. */

import { assertNever } from '../lib/assert.js';
import { laterToken, type Token } from '../lib/token-layout.js';
import type { Call } from './call.js';
import { type Demand, STALENESS_DEFAULT_MS } from './freshness.js';

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
