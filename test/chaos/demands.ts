/** How fresh a read of the workload asks to be, in the request's words and in the checker's. */

import { parseSealed, parseTokenPayload } from '../../src/lib/token-layout.js';
import type { Random } from '../support/random.js';
import type { Demand, Position } from './history.js';
import type { HeldToken } from './recorder.js';

/** A demand as it is sent. */
export interface ChosenDemand {
  readonly demand: Demand;
  /** A part of the request. */
  readonly request: {
    readonly freshness?: {
      readonly demand:
        | { readonly case: 'strong' | 'eventual'; readonly value: true }
        | { readonly case: 'atLeast'; readonly value: string }
        | { readonly case: 'maxStaleness'; readonly value: { seconds: bigint; nanos: number } };
    };
  };
  /** For the header; undefined: none. */
  readonly token: string | undefined;
}

/** Chooses a demand; one for a token where there is none asks for nothing. */
export function chooseDemand(random: Random, held: HeldToken | undefined): ChosenDemand {
  const dice = random.below(100);
  if (dice < 20) {
    const request = { freshness: { demand: { case: 'strong', value: true } } } as const;
    return { demand: { kind: 'strong' }, request, token: undefined };
  }
  if (dice < 35) return maxStaleness(50 + random.below(2_000));
  if (dice < 75 && held !== undefined) return atLeast(held, random.below(2) === 0);
  const request = { freshness: { demand: { case: 'eventual', value: true } } } as const;
  return { demand: { kind: 'eventual' }, request, token: undefined };
}

/** A demand for a token, in the request or in its header. */
export function atLeast({ text, position }: HeldToken, isInHeader: boolean): ChosenDemand {
  const demand: Demand = { kind: 'at_least', position };
  if (isInHeader) return { demand, request: {}, token: text };
  const request = { freshness: { demand: { case: 'atLeast', value: text } } } as const;
  return { demand, request, token: undefined };
}

function maxStaleness(stalenessMs: number): ChosenDemand {
  const value = {
    seconds: BigInt(Math.floor(stalenessMs / 1_000)),
    nanos: (stalenessMs % 1_000) * 1_000_000,
  };
  const request = { freshness: { demand: { case: 'maxStaleness', value } } } as const;
  return { demand: { kind: 'max_staleness', stalenessMs }, request, token: undefined };
}

/** What a freshness token stands for; undefined: it is none. */
export function positionOf(token: string): Position | undefined {
  const sealed = parseSealed(token);
  const found = sealed && parseTokenPayload(sealed.payload);
  if (found === undefined) return undefined;
  const { timeline, lsn, precision } = found;
  return { timeline, lsn, isReplayed: precision === 'replayed' };
}
