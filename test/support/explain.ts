/** What a statement costs, in buffers: times say little on a machine that is shared. */

import pg from 'pg';
import { encodeParameter } from '../../src/postgres/parameters.js';
import type { Statement } from '../../src/postgres/statement.js';
import type { TestConnection } from './database.js';

/** What an execution came to. */
export interface Explained {
  /** Pages of tables and indexes that were touched, temporary ones not among them. */
  readonly buffers: number;
  readonly rows: number;
  /** The most rows that a step of the plan gave, over all its loops. */
  readonly rowsOfStep: number;
  /** The kinds of nodes, outer before inner, such as `Index Scan`. */
  readonly nodes: readonly string[];
  /** The indexes that were read. */
  readonly indexes: readonly string[];
  /** The plan as text, for a test that fails. */
  readonly plan: string;
  /** What the run before gave, with `runFirst`. */
  readonly given: readonly Record<string, unknown>[];
}

/** How a statement is explained. */
export interface ExplainOptions {
  /** Default: generic, which is what a connection comes to use, or what the statement asks for. */
  readonly plan?: 'generic' | 'custom';
  /** Runs it before: the first run of a session also reads what functions and types are. */
  readonly runFirst?: boolean;
}

interface PlanNode {
  readonly 'Node Type': string;
  readonly 'Index Name'?: string;
  readonly 'Actual Rows': number;
  readonly 'Actual Loops': number;
  readonly 'Shared Hit Blocks': number;
  readonly 'Shared Read Blocks': number;
  readonly Plans?: readonly PlanNode[];
}

/**
 * Executes a statement of the registry, says what that took, and takes back what it wrote. Connect
 * as the service: another role may get another plan.
 */
export async function explain(
  connection: TestConnection,
  statement: Statement<unknown>,
  params: readonly unknown[],
  options: ExplainOptions = {},
): Promise<Explained> {
  const { plan: mode = statement.plan ?? 'generic', runFirst = false } = options;
  const run = executionOf('explained', params);
  await connection.query('begin');
  try {
    await connection.query(`set local plan_cache_mode = force_${mode}_plan`);
    await connection.query(`prepare explained as ${statement.text}`);
    const given = runFirst ? await connection.query(run) : [];
    return { ...(await explainRun(connection, run)), given };
  } finally {
    await connection.query('rollback');
    await connection.query('deallocate all');
  }
}

/** Executes what stands in a session already and says what that took. */
export async function explainRun(
  connection: TestConnection,
  run: string,
): Promise<Omit<Explained, 'given'>> {
  const [row] = await connection.query<{ 'QUERY PLAN': [{ Plan: PlanNode }] }>(
    `explain (analyze, buffers, timing off, format json) ${run}`,
  );
  const plan = row?.['QUERY PLAN'][0].Plan;
  if (plan === undefined) throw new Error(`there is no plan of ${run}`);
  return summaryOf(plan);
}

/** The SQL that executes a prepared statement. */
export function executionOf(name: string, params: readonly unknown[]): string {
  return `execute ${name}(${params.map(literal).join(', ')})`;
}

function literal(value: unknown): string {
  const encoded = encodeParameter(value);
  if (encoded === null) return 'null';
  if (typeof encoded !== 'string') return `'\\x${encoded.toString('hex')}'`;
  return pg.escapeLiteral(encoded);
}

function summaryOf(plan: PlanNode): Omit<Explained, 'given'> {
  const nodes: PlanNode[] = [];
  const collect = (node: PlanNode): void => {
    nodes.push(node);
    node.Plans?.forEach(collect);
  };
  collect(plan);
  // What was never executed is no part of the cost, and is there for other arguments.
  const executed = nodes.filter((node) => node['Actual Loops'] > 0);
  return {
    buffers: plan['Shared Hit Blocks'] + plan['Shared Read Blocks'],
    rows: plan['Actual Rows'],
    rowsOfStep: Math.max(...nodes.map((node) => node['Actual Rows'] * node['Actual Loops'])),
    nodes: executed.map((node) => node['Node Type']),
    indexes: executed.flatMap((node) => node['Index Name'] ?? []),
    plan: linesOf(plan, 0).join('\n'),
  };
}

function linesOf(node: PlanNode, depth: number): string[] {
  const buffers = node['Shared Hit Blocks'] + node['Shared Read Blocks'];
  const cost = `rows ${node['Actual Rows']}, loops ${node['Actual Loops']}, buffers ${buffers}`;
  const line = `${' '.repeat(depth)}${node['Node Type']} ${node['Index Name'] ?? ''}: ${cost}`;
  return [line, ...(node.Plans ?? []).flatMap((child) => linesOf(child, depth + 1))];
}
