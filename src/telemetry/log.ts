/**
 * The log: one JSON line an event on standard error, readable text on a terminal. Listens to the
 * channels of the rooms, which know no logger. Nothing that a caller sent is logged but names.
 */

import { type DestinationStream, type Logger, pino } from 'pino';
import { PinoPretty } from 'pino-pretty';
import type { LogLevel } from '../config.js';
import type { TraceContext } from '../lib/trace-context.js';
import { onCallEnded, onReloadEnded } from './events.js';
import { listen } from './listen.js';
import { logCall } from './log-calls.js';
import { serializeError } from './log-errors.js';

export type { Logger } from 'pino';

/** Characters that are kept for a disk that is full; lines beyond are dropped. */
const unwrittenMax = 1_000_000;

/** Who changes something of the log. */
export interface LogChange {
  readonly requestId: string;
  readonly principal: string;
  readonly trace: TraceContext | undefined;
}

/** A log that listens until it is stopped. */
export interface Log {
  readonly logger: Logger;
  readonly level: LogLevel;
  /** At any time; that it was changed is logged at info, whatever the level was or becomes. */
  setLevel(level: LogLevel, by: LogChange): void;
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

interface StatementWasSlow {
  readonly statement: string;
  readonly node: string;
  readonly role: string;
  readonly durationMs: number;
  readonly requestId: string;
  readonly trace: TraceContext | undefined;
  readonly planHash: string | undefined;
  readonly params: string | undefined;
}

interface DoubtEnded {
  readonly end: string;
  readonly requestId: string;
  readonly durationMs: number;
}

/**
 * Starts to log. Lines are written at once, so that none is lost when the process ends.
 * `destination` stands in for standard error.
 */
export function startLog(level: LogLevel, destination = standardError()): Log {
  const options = {
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    serializers: { err: serializeError },
    // By its name: who reads a line knows no numbers.
    formatters: { level: (label: string) => ({ level: label }) },
  };
  const logger = pino({ ...options, level }, destination);
  // Who turns the log down must not go unseen. No child: it would be turned down with its parent.
  const always = pino(options, destination);
  const stops = [
    onCallEnded((call) => logCall(logger, call)),
    onReloadEnded(({ error, ...changes }) => {
      if (error === undefined) logger.info(changes, 'settings read again');
      else logger.error({ err: error }, 'settings are wrong and stay as they were');
    }),
    listen('stowage:postgres:topology', nodeLines(logger)),
    listen('stowage:postgres:history', historyLines(logger)),
    listen('stowage:postgres:slow', slowLines(logger)),
    listen('stowage:job-run', jobLines(logger)),
    listen('stowage:commit-in-doubt', doubtLines(logger)),
  ];
  return {
    logger,
    get level() {
      return logger.level as LogLevel;
    },
    setLevel(level, { requestId, principal, trace }) {
      const former = logger.level;
      logger.level = level;
      const traceId = trace?.traceId;
      always.info({ from: former, to: level, principal, requestId, traceId }, 'log level set');
    },
    stop: () => {
      for (const stop of stops) stop();
    },
  };
}

function doubtLines(logger: Logger): (event: DoubtEnded) => void {
  return ({ end, requestId, durationMs }) => {
    const level = end === 'unknown' ? 'warn' : 'info';
    logger[level]({ end, requestId, durationMs: Math.round(durationMs) }, 'commit was in doubt');
  };
}

function standardError(): DestinationStream {
  return process.stderr.isTTY
    ? PinoPretty({ destination: 2, sync: true, singleLine: true })
    : fileDestination(2);
}

/** Writes lines to a file that is open. One that takes none, for its disk is full, stops nobody. */
export function fileDestination(dest: number): DestinationStream {
  const destination = pino.destination({ dest, sync: true, maxLength: unwrittenMax });
  destination.on('error', () => undefined);
  return destination;
}

function nodeLines(logger: Logger): (event: NodeChanged) => void {
  const known = new Set<string>();
  return ({ node, from, to, detail, cause }) => {
    const isDown = to === 'unreachable' || to === 'unknown' || to === 'fenced';
    // That a node is up when it is first seen is no news.
    const level = known.has(node) ? 'info' : 'debug';
    known.add(node);
    logger[isDown ? 'warn' : level]({ node, from, to, detail, err: cause }, 'node changed');
  };
}

function historyLines(logger: Logger): (event: HistoryRecorded) => void {
  return ({ node, detail, cause }) => {
    const hasFailed = cause !== undefined;
    logger[hasFailed ? 'error' : 'info'](
      { node, detail, err: cause },
      hasFailed ? 'history not recorded' : 'history recorded',
    );
  };
}

function slowLines(logger: Logger): (event: StatementWasSlow) => void {
  return ({ trace, durationMs, ...facts }) => {
    const ms = Math.round(durationMs);
    logger.warn({ ...facts, durationMs: ms, traceId: trace?.traceId }, 'slow statement');
  };
}

function jobLines(logger: Logger): (event: JobRan) => void {
  return ({ job, outcome, durationMs, error }) => {
    const isBad = outcome === 'failed' || outcome === 'abandoned';
    const line = { job, outcome, durationMs: Math.round(durationMs), err: error };
    logger[isBad ? 'warn' : 'debug'](line, 'job ran');
  };
}
