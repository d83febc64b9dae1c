/** The bug: tokens are ignored, whatever freshness was asked for. */

import type { Call } from '../../src/postgres/call.js';
import type { RouterHandle } from '../../src/postgres/router-handle.js';
import { surround } from './surround.js';

/** Reads from any standby. */
export function readStale(router: RouterHandle): RouterHandle {
  const careless = (call: Call): Call => ({ ...call, tokens: [], freshness: { kind: 'eventual' } });
  return surround(router, {
    run: (statement, params, call) => router.run(statement, params, careless(call)),
    stream: (statement, params, call, options) =>
      router.stream(statement, params, careless(call), options),
  });
}
