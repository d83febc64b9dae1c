/** Calls that the service makes for itself. */

import { v7 as uuid } from 'uuid';
import { NEVER } from '../lib/interruption.js';
import type { Call, Freshness } from './call.js';

/** The principal of the service's own work. */
export const SYSTEM_PRINCIPAL = 'stowage';

/** What a call of the service's own is about. */
export interface SystemCallOptions {
  /** As `stowage.internal/LoadKeys`: shown in pg_stat_activity. */
  readonly method: string;
  readonly timeoutMs: number;
  /** Default: `default`. */
  readonly project?: string;
  /** Default: strong. */
  readonly freshness?: Freshness;
  /** Default: never aborted. */
  readonly signal?: AbortSignal;
}

/** A call that no caller waits for. */
export function systemCall(options: SystemCallOptions): Call {
  return {
    requestId: uuid(),
    trace: undefined,
    method: options.method,
    project: options.project ?? 'default',
    principal: SYSTEM_PRINCIPAL,
    origin: { address: undefined, userAgent: undefined },
    deadlineMs: performance.now() + options.timeoutMs,
    signal: options.signal ?? NEVER,
    freshness: options.freshness ?? { kind: 'strong' },
    tokens: [],
    onServed: () => undefined,
  };
}
