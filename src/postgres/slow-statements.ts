/**
 * Tells of statements that took longer than they should, with a digest of the plan that PostgreSQL
 * makes for them a moment later. Asking for the plan is itself bounded: one question at a time, one
 * a statement, node and minute; in between the last answer stands. Operators look at the node over
 * the same connection: a question that is not answered at once is given up, and none follows soon.
 */

import { createHash } from 'node:crypto';
import { NEVER } from '../lib/interruption.js';
import { type SlowStatementEvent, slowChannel } from './events.js';
import { encodeParameter } from './parameters.js';
import type { Work } from './routing.js';
import type { Statement } from './statement.js';
import type { Step } from './unit.js';

/** When to tell of a statement. */
export interface SlowStatementOptions {
  /** Longer ones are told. */
  readonly thresholdMs: number;
  /** Whether the parameters are told, which are callers' data. */
  readonly withParameters: boolean;
}

/** Asks a node; as {@link RouterHandle.inspect} does. */
type Inspect = (
  node: string,
  statement: Statement<PlanRow>,
  params: readonly unknown[],
  call: Work['call'],
) => Promise<PlanRow[]>;

/** A row of EXPLAIN. */
interface PlanRow {
  readonly 'QUERY PLAN': unknown;
}

/** Planning takes milliseconds, unless a table is locked: it would wait as its statement did. */
const PLAN_TIMEOUT_MS = 1_000;
const PLAN_AGE_MAX_MS = 60_000;
/** After a question in vain: a tenth of the connection's time at most is spent so. */
const PAUSE_MS = 10_000;
/** Who asks, as pg_stat_activity has it. */
const method = 'stowage.internal/Explain';
const PARAMETERS_LENGTH_MAX = 1_000;
const HASH_LENGTH = 12;

/** Plans that are remembered: more than the registry has statements on a cluster of a few nodes. */
const PLANS_MAX = 1_000;

/** Hears of every statement's time, and tells of the slow ones. */
export class SlowStatements {
  readonly #options: SlowStatementOptions;
  readonly #inspect: Inspect;
  /** By node and statement, the oldest first. */
  readonly #plans = new Map<string, { readonly hash: string | undefined; readonly atMs: number }>();
  #isAsking = false;
  #pausedUntilMs = 0;

  constructor(options: SlowStatementOptions, inspect: Inspect) {
    this.#options = options;
    this.#inspect = inspect;
  }

  /** Told of a statement that has ended, without the wait for its connection. */
  note(work: Work, { statement, params }: Step, durationMs: number): void {
    if (durationMs <= this.#options.thresholdMs || !slowChannel.hasSubscribers) return;
    void this.#tell(work, { ...statement, name: work.name }, params, durationMs);
  }

  async #tell(
    work: Work,
    statement: Step['statement'],
    params: readonly unknown[],
    durationMs: number,
  ): Promise<void> {
    const { route, call } = work;
    const planHash = await this.#planHash(work, statement, params);
    slowChannel.publish({
      statement: statement.name,
      node: route.node,
      role: route.role,
      durationMs,
      requestId: call.requestId,
      trace: call.trace,
      planHash,
      params: this.#options.withParameters ? shown(params) : undefined,
    } satisfies SlowStatementEvent);
  }

  async #planHash(
    { route, call }: Work,
    { name, text }: Step['statement'],
    params: readonly unknown[],
  ): Promise<string | undefined> {
    const key = `${route.node} ${name}`;
    const known = this.#plans.get(key);
    const nowMs = performance.now();
    if (known !== undefined && nowMs - known.atMs < PLAN_AGE_MAX_MS) return known.hash;
    if (this.#isAsking || nowMs < this.#pausedUntilMs) return known?.hash;
    this.#isAsking = true;
    const deadlineMs = nowMs + PLAN_TIMEOUT_MS;
    // Not the call's own doing: it has ended, and its trace with it.
    const asking = { ...call, method, deadlineMs, signal: NEVER, trace: undefined };
    // A node that is busy or gone is told of by others: the statement is told without its plan.
    const unanswered = (): PlanRow[] => {
      this.#pausedUntilMs = performance.now() + PAUSE_MS;
      return [];
    };
    const [row] = await this.#inspect(route.node, explanationOf(text), params, asking).catch(
      unanswered,
    );
    this.#isAsking = false;
    return this.#remember(key, row && hashOf(row['QUERY PLAN']));
  }

  #remember(key: string, hash: string | undefined): string | undefined {
    this.#plans.delete(key);
    this.#plans.set(key, { hash, atMs: performance.now() });
    const [oldest] = this.#plans.keys();
    if (this.#plans.size > PLANS_MAX && oldest !== undefined) this.#plans.delete(oldest);
    return hash;
  }
}

/** Not registered: the statement that it explains is, and what it is made of is constant. */
function explanationOf(text: string): Statement<PlanRow> {
  return {
    name: 'explain',
    intent: 'read',
    text: `explain (format json, costs off) ${text}`,
    // Planned for its parameters, and never prepared by a name of its own.
    plan: 'custom',
  };
}

/**
 * What makes two plans the same: kinds of nodes, what they read and by which index, in their order.
 * Conditions are left out, for they hold the values of parameters.
 */
const SHAPE: ReadonlySet<string> = new Set([
  'Plan',
  'Plans',
  'Node Type',
  'Relation Name',
  'Index Name',
  'Join Type',
  'Strategy',
  'Scan Direction',
  'Parent Relationship',
  'Subplan Name',
  'CTE Name',
  'Operation',
  'Partial Mode',
]);

function hashOf(plan: unknown): string {
  const shape = JSON.stringify(plan, (key, value: unknown) =>
    key === '' || SHAPE.has(key) || /^\d+$/.test(key) ? value : undefined,
  );
  return createHash('sha256').update(shape).digest('hex').slice(0, HASH_LENGTH);
}

/** Parameters as PostgreSQL is sent them, cut. */
function shown(params: readonly unknown[]): string {
  let text = '';
  for (const param of params) {
    const value = encodeParameter(param);
    const written = value instanceof Uint8Array ? `<${value.length} bytes>` : JSON.stringify(value);
    text += text === '' ? written : `, ${written}`;
    if (text.length > PARAMETERS_LENGTH_MAX) return `${text.slice(0, PARAMETERS_LENGTH_MAX)}…`;
  }
  return text;
}
