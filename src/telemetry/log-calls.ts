/** One line a call: how it came out, whose it was, how long it took, and by what it is found. */

import type { Logger } from 'pino';
import { Code } from '../../gen/google/rpc/code_pb.js';
import { type CallEnded, isHealthMethod } from './events.js';

/** Rules that one request can break, of which the log names the fields. */
const fieldsMax = 10;
/** A field may be a key that the caller made up. */
const fieldCharactersMax = 128;

/** Logs the end of a call. What is below the log's level costs nothing. */
export function logCall(logger: Logger, call: CallEnded): void {
  const [level, text] = verdictOn(call);
  if (!logger.isLevelEnabled(level)) return;
  logger[level](
    {
      method: call.method,
      code: Code[call.code],
      reason: call.reason,
      message: messageOf(call),
      fields: call.fields?.length ? fieldsOf(call.fields) : undefined,
      door: call.door,
      principal: call.principal,
      durationMs: Math.round(call.durationMs * 1000) / 1000,
      requestId: call.requestId,
      traceId: call.trace?.traceId,
      err: isCallers(call) ? undefined : call.cause,
    },
    text,
  );
}

function verdictOn({ reason, method }: CallEnded): readonly [Level, string] {
  switch (reason) {
    case undefined:
      // Machines ask every second or so, and there is no news in it.
      return [isHealthMethod(method) ? 'debug' : 'info', 'call served'];
    case 'CANCELLED':
      // The caller's own doing, and the way that watchers of anything leave.
      return ['info', 'call cancelled'];
    case 'INTERNAL':
      return ['error', 'call failed by a defect'];
    default:
      return ['warn', 'call failed'];
  }
}

type Level = 'debug' | 'info' | 'warn' | 'error';

/** Whether it was the caller's own doing: what lies behind it is no news, and may be its data. */
function isCallers({ reason }: CallEnded): boolean {
  return reason === 'CANCELLED' || reason === 'INVALID_REQUEST';
}

/** What is wrong with a request may be said in its own words, which are the caller's. */
function messageOf({ reason, message }: CallEnded): string | undefined {
  return reason === 'INVALID_REQUEST' ? undefined : message;
}

function fieldsOf(fields: readonly string[]): string[] {
  return fields.slice(0, fieldsMax).map((field) => field.slice(0, fieldCharactersMax));
}
