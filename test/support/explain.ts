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
  /** The kinds of nodes, outer before inner, such as `Index Scan`. */
  readonly nodes: readonly string[];
  /** The indexes that were read. */
  readonly indexes: readonly string[];
  /** The plan as text, for a test that fails. */
  readonly plan: string;
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
 * Executes a statement of the registry and says what that took, under a generic plan, which is what
 * a connection comes to use, or a custom one where the statement asks for that. Connect as the
 * service: another role may get another plan.
 */
export async function explain(
  connection: TestConnection,
  statement: Statement<unknown>,
  params: readonly unknown[],
): Promise<Explained> {
  const mode = statement.plan === 'custom' ? 'force_custom_plan' : 'force_generic_plan';
  await connection.query(`set plan_cache_mode = ${mode}`);
  await connection.query(`prepare explained as ${statement.text}`);
  try {
    const values = params.map(literal).join(', ');
    const [row] = await connection.query<{ 'QUERY PLAN': [{ Plan: PlanNode }] }>(
      `explain (analyze, buffers, timing off, format json) execute explained(${values})`,
    );
    const plan = row?.['QUERY PLAN'][0].Plan;
    if (plan === undefined) throw new Error(`${statement.name} has no plan`);
    return summaryOf(plan);
  } finally {
    await connection.query('deallocate explained');
  }
}

function literal(value: unknown): string {
  const encoded = encodeParameter(value);
  if (encoded === null) return 'null';
  if (typeof encoded !== 'string') return `'\\x${encoded.toString('hex')}'`;
  return pg.escapeLiteral(encoded);
}

function summaryOf(plan: PlanNode): Explained {
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
