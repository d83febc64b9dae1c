/** Hundreds of thousands of rows by SQL, for tests of plans and of their cost. */

import type { TestConnection } from './database.js';

/** How tables are filled. */
export interface Filling {
  /** Empty ones; those of partitions by the name of the whole. */
  readonly tables: readonly string[];
  /** Statements that fill them, in order. */
  fill(): Promise<void>;
  /** Whether an index is made again; default: each. Primary keys stay anyway. */
  readonly isNeeded?: (index: string) => boolean;
}

/**
 * Fills tables and analyses them. Indexes are made afterwards, which takes less than half of the
 * time; and nothing goes through the log, for the standbys would replay all of it beside the tests
 * that run meanwhile. Plans and buffers on the primary are what they are for logged tables.
 */
export async function fillTables(admin: TestConnection, filling: Filling): Promise<void> {
  const { tables, fill, isNeeded = () => true } = filling;
  const indexes = await admin.query<{ name: string; definition: string }>(
    `select indexrelid::regclass::text as name, pg_get_indexdef(indexrelid) as definition
     from pg_index where indrelid = any ($1::text[]::regclass[]) and not indisprimary`,
    [tables],
  );
  for (const { name } of indexes) await admin.query(`drop index ${name}`);
  // A logged table may not refer to one that is not, so what refers to these goes before them.
  const referring = await admin.query<{ name: string }>(
    `select distinct conrelid::regclass::text as name from pg_constraint
     where contype = 'f' and confrelid = any ($1::text[]::regclass[])`,
    [tables],
  );
  const leaves = await admin.query<{ name: string }>(
    `select oid::regclass::text as name from pg_class
     where relkind = 'r' and (oid = any ($1::text[]::regclass[]) or oid in (
       select inhrelid from pg_inherits where inhparent = any ($1::text[]::regclass[])))`,
    [tables],
  );
  for (const { name } of [...referring, ...leaves]) {
    await admin.query(`alter table ${name} set unlogged`);
  }
  await fill();
  await admin.query(`set maintenance_work_mem = '256MB'`);
  for (const { name, definition } of indexes) {
    // That of a table in partitions is told without those of its partitions.
    if (isNeeded(name)) await admin.query(definition.replace(' ON ONLY ', ' ON '));
  }
  await admin.query('reset maintenance_work_mem');
  for (const table of tables) await admin.query(`vacuum analyze ${table}`);
}
