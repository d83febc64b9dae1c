/**
 * The log: one JSON line an event on standard error, readable text on a terminal. Listens to the
 * channels of the rooms, which know no logger. Nothing that a caller sent is logged but names.
 */

import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { type DestinationStream, type Logger, pino } from 'pino';
import { PinoPretty } from 'pino-pretty';
import type { LogLevel } from '../config.js';
import { type CallEnded, onCallEnded, onReloadEnded } from './events.js';

export type { Logger } from 'pino';

/** A log that listens until it is stopped. */
export interface Log {
  readonly logger: Logger;
  /** May be set at any time. */
  level: LogLevel;
  stop(): void;
}

/** What is read of the events of rooms that this one may not import. */
interface NodeChanged {
  readonly node: string;
  readonly from: string;
  readonly to: string;
  readonly detail: string;
  readonly cause: unknown;
}

interface HistoryRecorded {
  readonly node: string;
  readonly detail: string;
  readonly cause: unknown;
}

interface JobRan {
  readonly job: string;
  readonly outcome: string;
  readonly durationMs: number;
  readonly error?: unknown;
}

/**
 * Starts to log. Lines are written at once, so that none is lost when the process ends.
 * `destination` stands in for standard error.
 */
export function startLog(level: LogLevel, destination = standardError()): Log {
  const options = { level, base: null, timestamp: pino.stdTimeFunctions.isoTime };
  const logger = pino(options, destination);
  const stopCalls = onCallEnded((call) => {
    logCall(logger, call);
  });
  const stopReloads = onReloadEnded(({ error, ...changes }) => {
    if (error === undefined) logger.info(changes, 'settings read again');
    else logger.error({ err: error }, 'settings are wrong and stay as they were');
  });
  const nodesKnown = new Set<string>();
  const onNode = (message: unknown) => {
    const { node, from, to, detail, cause } = message as NodeChanged;
    const isDown = to === 'unreachable' || to === 'unknown' || to === 'fenced';
    // That a node is up when it is first seen is no news.
    const level = nodesKnown.has(node) ? 'info' : 'debug';
    nodesKnown.add(node);
    logger[isDown ? 'warn' : level]({ node, from, to, detail, err: cause }, 'node changed');
  };
  const onHistory = (message: unknown) => {
    const { node, detail, cause } = message as HistoryRecorded;
    const hasFailed = cause !== undefined;
    logger[hasFailed ? 'error' : 'info'](
      { node, detail, err: cause },
      hasFailed ? 'history not recorded' : 'history recorded',
    );
  };
  const onJob = (message: unknown) => {
    const { job, outcome, durationMs, error } = message as JobRan;
    const isBad = outcome === 'failed' || outcome === 'abandoned';
    logger[isBad ? 'warn' : 'debug']({ job, outcome, durationMs, err: error }, 'job ran');
  };
  subscribe('stowage:postgres:topology', onNode);
  subscribe('stowage:postgres:history', onHistory);
  subscribe('stowage:job-run', onJob);
  return {
    logger,
    get level() {
      return logger.level as LogLevel;
    },
    set level(level) {
      logger.level = level;
    },
    stop: () => {
      stopCalls();
      stopReloads();
      unsubscribe('stowage:postgres:topology', onNode);
      unsubscribe('stowage:postgres:history', onHistory);
      unsubscribe('stowage:job-run', onJob);
    },
  };
}

function standardError(): DestinationStream {
  return process.stderr.isTTY
    ? PinoPretty({ destination: 2, sync: true, singleLine: true })
    : pino.destination({ dest: 2, sync: true });
}

function logCall(logger: Logger, call: CallEnded): void {
  const { cause, durationMs, ...facts } = call;
  const line = { ...facts, durationMs: Math.round(durationMs * 1000) / 1000 };
  if (call.reason === undefined) {
    logger.debug(line, 'call served');
  } else if (call.reason === 'INTERNAL') {
    logger.error({ ...line, err: cause }, 'call failed by a defect');
  } else if (call.reason === 'CANCELLED') {
    // The caller's own doing, and the way that watchers of anything leave.
    logger.info(line, 'call cancelled');
  } else {
    logger.warn({ ...line, err: cause }, 'call failed');
  }
}
