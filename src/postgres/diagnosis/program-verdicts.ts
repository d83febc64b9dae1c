/** Whether node and program fit each other: version, the login's role, schema, extension. */

import type { DatabaseLogin } from '../../config.js';
import type { NodeAddress } from '../driver.js';
import { compareSchema } from '../schema-version.js';
import type { NodeFacts } from './facts.js';
import { type Finding, fail, migrateCommandLine, ok, sqlName, warn } from './finding.js';

const OLDEST = 15;
const NEWEST = 18;

/** The check `version`. */
export function versionVerdict({
  version,
  versionNumber,
}: Pick<NodeFacts, 'version' | 'versionNumber'>): Finding {
  const major = Math.floor(versionNumber / 10_000);
  if (major < OLDEST) {
    return fail(
      'version',
      `PostgreSQL ${version} is too old`,
      `Upgrade the server to PostgreSQL ${OLDEST} to ${NEWEST}.`,
      'pg_upgrade --help',
    );
  }
  if (major > NEWEST) {
    return warn(
      'version',
      `PostgreSQL ${version} is newer than what this program was tested with`,
      `PostgreSQL ${OLDEST} to ${NEWEST} are tested: try the newer one before you rely on it.`,
    );
  }
  return ok('version', `PostgreSQL ${version}`);
}

/** The check `role`. */
export function roleVerdict({ login }: NodeFacts, { user }: DatabaseLogin): Finding {
  const role = sqlName(user);
  if (login.is_service === null) {
    return fail(
      'role',
      'there is no group stowage_service',
      'Migrating makes it; afterwards make the login its member:',
      `grant stowage_service to ${role};`,
    );
  }
  if (!login.is_service) {
    return fail(
      'role',
      `${user} is no member of stowage_service`,
      'Make it one, as an administrator:',
      `grant stowage_service to ${role};`,
    );
  }
  if (login.is_superuser || login.bypasses_rls) {
    return warn(
      'role',
      `${user} ${login.is_superuser ? 'is a superuser' : 'bypasses row-level security'}`,
      'A mistake of the service could then change anything. Serve with an ordinary login:',
      "create role stowage login password '...' in role stowage_service;",
    );
  }
  return ok('role', `${user} is a member of stowage_service`);
}

/** The check `schema`. */
export function schemaVerdict(
  { applied }: Pick<NodeFacts, 'applied'>,
  program: readonly string[],
  node: NodeAddress,
  { database, user }: DatabaseLogin,
): Finding {
  const migrate = migrateCommandLine(node, database);
  if (applied === 'missing') {
    return fail(
      'schema',
      `the database ${database} has no tables of Stowage`,
      'Make them, as the owner of the database:',
      migrate,
    );
  }
  if (applied === 'denied') {
    return fail(
      'schema',
      `${user} may not read the list of migrations`,
      'Make it a member of stowage_service, as an administrator:',
      `grant stowage_service to ${sqlName(user)};`,
    );
  }
  const state = compareSchema(program, applied);
  switch (state.kind) {
    case 'current':
      return ok('schema', `all ${applied.length} migrations are applied`);
    case 'behind':
      return fail(
        'schema',
        `the schema is older than this program and lacks ${listed(state.pending)}`,
        'Bring it up, as its owner:',
        migrate,
      );
    case 'ahead':
      if (!state.breaking) {
        return ok('schema', `newer than this program by ${listed(state.unknown)}, which it bears`);
      }
      break;
    case 'diverged':
      break;
  }
  return fail(
    'schema',
    `this program does not know ${listed(state.unknown)} of the schema`,
    'A newer program has migrated it, or another one: run the newest version of Stowage.',
    'stowage --version',
  );
}

const LISTED_MAX = 3;

function listed(names: readonly string[]): string {
  const more = names.length - LISTED_MAX;
  const shown = names.slice(0, LISTED_MAX).join(', ');
  return more > 0 ? `${shown} and ${more} more` : shown;
}

/** The check `extension`. */
export function extensionVerdict({ extension, role }: NodeFacts): Finding {
  if (extension === 'installed') return ok('extension', 'pg_trgm is installed');
  if (extension === 'available') return ok('extension', 'pg_trgm is there to be installed');
  const what = role === 'standby' ? 'and fails on this standby' : 'and its migration fails';
  return fail(
    'extension',
    'the server has no files of the extension pg_trgm',
    `Searching needs it ${what}. Install it on the server:`,
    'apt install postgresql-contrib',
  );
}
