/**
 * Preloaded into a server: tells the bench of each change of a node's state, with the time at which
 * the server saw it. JavaScript, because the built server is started without a compiler.
 */

import { subscribe } from 'node:diagnostics_channel';

subscribe('stowage:postgres:topology', ({ node, from, to, detail }) => {
  // The clock of `bench/rig/clock.ts`.
  const atMs = Number(process.hrtime.bigint()) / 1e6;
  process.send?.({ topology: { node, from, to, detail, atMs } });
});
