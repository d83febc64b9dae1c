/**
 * A server as operators run it, in a process of its own that may be killed; only the router is
 * reached by a second way: a message `state` is answered with its pools and nodes. Settings come
 * from the environment; the argument names the planted fault that surrounds the router, if any.
 */

import { loadConfig } from '../../src/config.js';
import { createRouter } from '../../src/postgres/router.js';
import type { RouterHandle } from '../../src/postgres/router-handle.js';
import { startServer } from '../../src/server/run.js';
import { startLog } from '../../src/telemetry/log.js';
import { type MutantName, mutants } from '../mutants/index.js';

/** What the process answers. */
export interface ServerState {
  readonly rssBytes: number;
  /** The primary's name; undefined: none is known. */
  readonly primary: string | undefined;
  readonly nodes: readonly {
    readonly name: string;
    readonly state: string;
    readonly acquired: number;
    readonly waiting: number;
  }[];
}

function stateOf(router: RouterHandle): ServerState {
  const { nodes, primary } = router.topology();
  return {
    rssBytes: process.memoryUsage.rss(),
    primary,
    nodes: nodes.map(({ name, state, pools: { unary, streams } }) => ({
      name,
      state,
      acquired: unary.acquired + streams.acquired,
      waiting: unary.waiting + streams.waiting,
    })),
  };
}

const [, , mutant] = process.argv;
const config = loadConfig();
startLog(config.logLevel);
let router: RouterHandle | undefined;
const server = await startServer(config, {
  makeRouter: (settings, options) => {
    router = createRouter(settings, options);
    return mutant === undefined ? router : mutants[mutant as MutantName](router);
  },
});
process.on('message', (message) => {
  if (message === 'state' && router !== undefined) process.send?.(stateOf(router));
});
// Without the harness nobody would end it.
process.once('disconnect', () => process.exit(1));
process.once('SIGTERM', () => {
  void server.close().then(() => process.exit(0));
});
process.send?.('ready');
