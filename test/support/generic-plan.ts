/** Plans as the service gets them once a statement is prepared: made without knowing parameters. */

import type { Statement } from '../../src/postgres/statement.js';
import type { TestConnection } from './database.js';

/** What a statement did under its generic plan. */
export interface GenericPlan {
  /** The plan, as EXPLAIN prints it. */
  readonly text: string;
  /** Pages that it touched, found in memory or not. */
  readonly buffers: number;
}

/** Runs the statement, as the connection's role, and takes back what it wrote. */
export async function genericPlan(
  connection: TestConnection,
  statement: Statement<unknown>,
  params: readonly unknown[],
): Promise<GenericPlan> {
  await connection.query('begin');
  try {
    await connection.query('set local plan_cache_mode = force_generic_plan');
    await connection.query(`prepare explained as ${statement.text}`);
    const values = params.map(literal).join(', ');
    const rows = await connection.query<{ 'QUERY PLAN': string }>(
      `explain (analyze, buffers, costs off, timing off) execute explained(${values})`,
    );
    const lines = rows.map((row) => row['QUERY PLAN']);
    // The first line of buffers is that of the top node, which counts those below it.
    const counted = lines.find((line) => line.includes('Buffers: shared'));
    const pages = [...(counted ?? '').matchAll(/(?:hit|read)=(\d+)/g)].map(([, count]) => count);
    return {
      text: lines.join('\n'),
      buffers: pages.reduce((sum, count) => sum + Number(count), 0),
    };
  } finally {
    await connection.query('rollback');
    await connection.query('deallocate all');
  }
}

function literal(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return `array[${value.map(literal).join(', ')}]`;
  return typeof value === 'string' ? `'${value.replaceAll("'", "''")}'` : String(value);
}
