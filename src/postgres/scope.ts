/** The first step of every unit: whom it is for and how long it may take. */

import type { Call } from './call.js';
import { readScope, writeScope, writeScopeOfStarted } from './control.sql.js';
import type { Step } from './unit.js';

/**
 * The server gives up this long after the deadline, by itself, so that no query outlives a service
 * that died.
 */
const STATEMENT_TIMEOUT_MARGIN_MS = 1_000;

/** Scope of a unit that changes nothing; the server refuses it to write. */
export function readScopeStep(call: Call, deadlineMs: number): Step {
  return { statement: readScope, params: scopeParams(call, deadlineMs) };
}

/** Scope of a transaction that writes. */
export function writeScopeStep(call: Call, deadlineMs: number): Step {
  return { statement: writeScope, params: scopeParams(call, deadlineMs) };
}

/** The same where COMMIT travels along: a node that was started at another time ends it itself. */
export function writeScopeOfStartedStep(call: Call, deadlineMs: number, startedAt: string): Step {
  const params = [...scopeParams(call, deadlineMs), startedAt];
  return { statement: writeScopeOfStarted, params };
}

function scopeParams(call: Call, deadlineMs: number): string[] {
  return [call.project, call.principal, statementTimeout(deadlineMs), applicationName(call.method)];
}

/** In milliseconds; `0`, which is none, without a deadline. */
function statementTimeout(deadlineMs: number): string {
  if (deadlineMs === Infinity) return '0';
  const remainingMs = Math.max(0, Math.ceil(deadlineMs - performance.now()));
  return String(remainingMs + STATEMENT_TIMEOUT_MARGIN_MS);
}

/** `stowage StorageService/GetObject`; PostgreSQL cuts names at 63 bytes. */
function applicationName(method: string): string {
  return `stowage ${method.slice(method.lastIndexOf('.', method.indexOf('/')) + 1)}`;
}
