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

/**
 * How much longer grpc-js is told to wait than the caller asked. At a deadline it answers by itself
 * and without details; a head start of ours before the deadline lost that race on a busy machine.
 */
export const grpcTimeoutSlackMs = 1000;

/** Adds the slack to a gRPC timeout; what is no timeout is left to be refused. */
export function slackenGrpcTimeout(headers: IncomingHttpHeaders): void {
  const [, count, unit = ''] = grpcTimeout.exec(String(headers['grpc-timeout'] ?? '')) ?? [];
  if (count === undefined) return;
  const timeoutMs = Math.ceil(Number(count) * (unitMs[unit] ?? 0)) + grpcTimeoutSlackMs;
  const seconds = Math.min(Math.ceil(timeoutMs / 1000), timeoutSecondsMax);
  headers['grpc-timeout'] = timeoutMs < 1e8 ? `${timeoutMs}m` : `${seconds}S`;
}

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
