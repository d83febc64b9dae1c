/**
 * Deadlines of callers that mean "none", such as a hundred years. Both doors' libraries hand them
 * to timers, which overflow past 24 days and fire at once; so they are shortened before.
 */

import type { IncomingHttpHeaders } from 'node:http';

/** The longest that a timer can wait, in whole seconds; a deadline step shortens calls further. */
const timeoutSecondsMax = Math.floor((2 ** 31 - 1) / 1000);

const unitMs: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1000,
  m: 1,
  u: 1e-3,
  n: 1e-6,
};

/** As grpc-js finds it: anywhere in the text. */
const grpcTimeout = /(\d{1,8})\s*([HMSmun])/;
const connectTimeout = /^\d{1,10}$/;

/** Replaces timeouts past what a timer can wait; what is no timeout is left to be refused. */
export function shortenTimeouts(headers: IncomingHttpHeaders): void {
  const [, count, unit = ''] = grpcTimeout.exec(String(headers['grpc-timeout'] ?? '')) ?? [];
  if (Number(count ?? 0) * (unitMs[unit] ?? 0) > timeoutSecondsMax * 1000) {
    headers['grpc-timeout'] = `${timeoutSecondsMax}S`;
  }
  const timeoutMs = String(headers['connect-timeout-ms'] ?? '');
  if (connectTimeout.test(timeoutMs) && Number(timeoutMs) > timeoutSecondsMax * 1000) {
    headers['connect-timeout-ms'] = String(timeoutSecondsMax * 1000);
  }
}
