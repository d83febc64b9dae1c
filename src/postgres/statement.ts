/** The registry of SQL: every statement the service sends stands here with its name and intent. */

/**
 * Where a statement may run: `read` on any node that is fresh enough, `readPrimary` on the primary
 * though it changes nothing, `write` on the primary inside a transaction.
 */
export type Intent = 'read' | 'readPrimary' | 'write';

/** Constant SQL text with `$n` parameters. */
export interface Statement<Row = Record<string, unknown>> {
  /** Unique, `kebab-case`: the prepared statement's name, metric label and span attribute. */
  readonly name: string;
  readonly intent: Intent;
  readonly text: string;
  /**
   * `custom`: planned anew at every execution, with the parameters' values in sight, for what a
   * generic plan cannot use, such as an index of an expression that a parameter is part of. That
   * costs the planning each time. `generic`: always planned without them, for what they would
   * mislead; of statements that `Router.run` reads. Default: prepared once a connection, and
   * planned as PostgreSQL chooses: the first five times, and as long as that looks cheaper, with
   * them.
   */
  readonly plan?: 'custom' | 'generic';
  /** Never set: carries the row's type. */
  readonly row?: Row;
}

const registry = new Map<string, Statement<unknown>>();

/**
 * Registers a statement. Rows come back as objects keyed by column; see `types.ts` for what each
 * PostgreSQL type becomes.
 * @throws Error when the name is taken.
 */
export function statement<Row>(definition: {
  readonly name: string;
  readonly intent: Intent;
  readonly text: string;
  readonly plan?: 'custom' | 'generic';
}): Statement<Row> {
  if (registry.has(definition.name)) throw new Error(`statement ${definition.name} exists already`);
  registry.set(definition.name, definition);
  return definition;
}

/** Every statement registered so far, in order of registration. */
export function statements(): readonly Statement<unknown>[] {
  return [...registry.values()];
}
