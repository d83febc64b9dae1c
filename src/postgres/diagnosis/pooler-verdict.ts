/**
 * Whether a pooler stands before the node, and whether the settings say so. A pooler gives each of
 * its clients a number of its own where PostgreSQL gives the backend's process id.
 */

import type { PostgresSettings } from '../../config.js';
import { isPooled, type NodeAddress } from '../driver.js';
import { addressOf, type Finding, fail, ok, warn } from './finding.js';

const SAY_SO = '?pooler=transaction';

/** The check `pooler`; undefined where there is none and none is meant to be. */
export function poolerVerdict(
  node: NodeAddress,
  settings: Pick<PostgresSettings, 'pooler'>,
  isThere: boolean,
): Finding | undefined {
  if (!isPooled(settings)) {
    if (!isThere) return undefined;
    return warn(
      'pooler',
      `a pooler answers at ${addressOf(node)}, and the settings do not say so`,
      'It has dropped the settings of the session, and in transaction mode named statements ' +
        'fail. Say that it is there, at the end of DATABASE_URL or in POSTGRES_POOLER:',
      SAY_SO,
    );
  }
  if (isThere) return ok('pooler', 'a pooler answers, as the settings say');
  return warn(
    'pooler',
    `PostgreSQL itself answers at ${addressOf(node)}, and the settings say that a pooler does`,
    'It works, at the price of planning each statement anew. Leave pooler=transaction out, or ' +
      'name the pooler.',
  );
}

/**
 * The finding for a login that the pooler itself refused. All of its refusals have one code, and
 * what it says is all there is to tell them apart by.
 */
export function poolerRefusal(said: string, settings: { readonly pooler?: string }): Finding {
  if (settings.pooler === 'transaction') {
    return fail(
      'login',
      `the pooler refuses: ${said}`,
      'Its log has more. It must know the role (auth_file or auth_query), the database, and ' +
        'reach PostgreSQL with both; docs/pgbouncer.md has a configuration that works.',
    );
  }
  return fail(
    'login',
    `a pooler answers, and refuses: ${said}`,
    'Say that it is one, at the end of DATABASE_URL or in POSTGRES_POOLER; or name the nodes:',
    SAY_SO,
  );
}
