/**
 * Does the schema fit the program? The migrator asks before it changes anything, the service before
 * it serves, with its own role that may only read the list of migrations.
 */

import { StowageError } from '../errors.js';
import { assertNever } from '../lib/assert.js';
import type { Call } from './call.js';
import { isBreaking, readMigrationNames } from './migration-files.js';
import type { Router } from './router-api.js';
import { statement } from './statement.js';

/** How a database's migrations compare with the program's. */
export type SchemaState =
  /** They are the same. */
  | { readonly kind: 'current' }
  /** The database lacks some. */
  | { readonly kind: 'behind'; readonly pending: readonly string[] }
  /** The database has more, of a newer program; `breaking` if this one cannot live with them. */
  | { readonly kind: 'ahead'; readonly unknown: readonly string[]; readonly breaking: boolean }
  /** They part from each other: another program's database, or a migration was renamed. */
  | { readonly kind: 'diverged'; readonly unknown: readonly string[] };

/** Compares the program's migrations with those applied, both in order. */
export function compareSchema(program: readonly string[], applied: readonly string[]): SchemaState {
  const common = Math.min(program.length, applied.length);
  const parting = applied.findIndex((name, index) => index < common && name !== program[index]);
  if (parting >= 0) return { kind: 'diverged', unknown: applied.slice(parting) };
  if (applied.length < program.length) return { kind: 'behind', pending: program.slice(common) };
  const unknown = applied.slice(common);
  if (unknown.length === 0) return { kind: 'current' };
  return { kind: 'ahead', unknown, breaking: unknown.some((name) => isBreaking(name)) };
}

/** The applied migrations, in order. */
export const listMigrations = statement<{ name: string }>({
  name: 'list-migrations',
  intent: 'read',
  text: 'select name from stowage_migrations order by id',
});

/**
 * Checks that the service may work on the schema: it is the program's, or newer without a breaking
 * migration. The call's freshness decides which node is asked: a standby may be a moment behind.
 * @throws StowageError SCHEMA_MISMATCH, and what the router throws.
 */
export async function checkSchema(router: Router, call: Call): Promise<SchemaState> {
  const program = await readMigrationNames();
  const applied = await readApplied(router, call);
  const state = compareSchema(program, applied);
  const refusal = refusalOf(state);
  if (refusal !== undefined) throw refusal;
  return state;
}

async function readApplied(router: Router, call: Call): Promise<readonly string[]> {
  try {
    return (await router.run(listMigrations, [], call)).map((row) => row.name);
  } catch (error) {
    switch (sqlStateOf(error)) {
      case '42P01':
        return [];
      case '42501':
        throw new StowageError('SCHEMA_MISMATCH', {
          message:
            'The service may not read the schema: make its login a member of stowage_service.',
          cause: error,
        });
      default:
        throw error;
    }
  }
}

function refusalOf(state: SchemaState): StowageError | undefined {
  switch (state.kind) {
    case 'current':
      return undefined;
    case 'behind':
      return new StowageError('SCHEMA_MISMATCH', {
        message: `The schema lacks ${state.pending.join(', ')}; run \`stowage migrate up\`.`,
        metadata: { pending: state.pending.join(',') },
      });
    case 'ahead':
      return state.breaking ? refuseUnknown(state.unknown) : undefined;
    case 'diverged':
      return refuseUnknown(state.unknown);
    default:
      return assertNever(state);
  }
}

/** The error for a database that a newer, or another, program has migrated. */
export function refuseUnknown(unknown: readonly string[]): StowageError {
  return new StowageError('SCHEMA_MISMATCH', {
    message: `This program does not know ${unknown.join(', ')} of the schema: run a newer one.`,
    metadata: { unknown: unknown.join(',') },
  });
}

/** The SQLSTATE behind an error, at most three causes deep; undefined where there is none. */
function sqlStateOf(error: unknown): string | undefined {
  let cause = error;
  for (let depth = 0; depth < 4 && cause instanceof Error; depth += 1) {
    if ('code' in cause && typeof cause.code === 'string') return cause.code;
    cause = cause.cause;
  }
  return undefined;
}
