/** Whether the nodes together are one cluster: one history, one primary, standbys. */

import type { DatabaseLogin } from '../../config.js';
import type { NodeAddress } from '../driver.js';
import type { NodeFacts } from './facts.js';
import { addressOf, type Finding, fail, ok, warn } from './finding.js';

/** A node that answered. */
export interface KnownNode {
  readonly node: NodeAddress;
  readonly facts: NodeFacts;
}

/** The check `cluster`: are all of them copies of one? */
export function clusterVerdict(known: readonly KnownNode[]): Finding {
  const groups = new Map<bigint, KnownNode[]>();
  for (const each of known) {
    const { systemIdentifier } = each.facts;
    groups.set(systemIdentifier, [...(groups.get(systemIdentifier) ?? []), each]);
  }
  if (groups.size <= 1) {
    return ok('cluster', `system identifier ${known[0]?.facts.systemIdentifier ?? 'unknown'}`);
  }
  const shown = [...groups].map(([id, nodes]) => `${names(nodes)} (${id})`).join('; ');
  return fail(
    'cluster',
    `the nodes are of ${groups.size} clusters: ${shown}`,
    'They hold different data. Name the nodes of one cluster only, in DATABASE_URL or ' +
      'POSTGRES_HOST.',
  );
}

const names = (nodes: readonly KnownNode[]): string =>
  nodes.map(({ node }) => addressOf(node)).join(', ');

/** The check `primary`: is there exactly one? */
export function primaryVerdict(known: readonly KnownNode[], configured: number): Finding {
  const primaries = known.filter(({ facts }) => facts.role === 'primary');
  const [first] = primaries;
  if (first === undefined) return noPrimary(known, configured);
  if (primaries.length === 1) {
    return ok('primary', `${addressOf(first.node)}, timeline ${first.facts.timeline ?? 'unknown'}`);
  }
  const byAge = [...primaries].sort((a, b) => (b.facts.timeline ?? 0) - (a.facts.timeline ?? 0));
  const shown = byAge.map(
    ({ node, facts }) => `${addressOf(node)} on timeline ${facts.timeline ?? 'unknown'}`,
  );
  return fail(
    'primary',
    `${primaries.length} nodes are primaries at once: ${shown.join(', ')}`,
    'What is written to one is missing on the other. Stop all but one now, as a rule that of the ' +
      'highest timeline, save what only the others have, and make those standbys of it:',
    `pg_rewind --target-pgdata=<data folder> --source-server='host=${byAge[0]?.node.host} ` +
      `port=${byAge[0]?.node.port} user=<superuser> dbname=postgres' --write-recovery-conf`,
  );
}

function noPrimary(known: readonly KnownNode[], configured: number): Finding {
  const count = known.length === 1 ? 'the node that answered is a standby' : 'all are standbys';
  const silent = configured - known.length;
  return fail(
    'primary',
    `there is no primary: of ${configured} nodes ${known.length} answered, and ${count}`,
    (silent > 0 ? 'Bring the nodes back that do not answer, or name' : 'Name') +
      ' the primary too. If it is lost, wait for the HA manager, or promote the standby that is ' +
      'furthest ahead, on it:',
    'select pg_promote();',
  );
}

/** The check `standbys`. */
export function standbysVerdict(
  known: readonly KnownNode[],
  configured: number,
  login: DatabaseLogin,
): Finding {
  const standbys = known.filter(({ facts }) => facts.role === 'standby');
  const primary = known.find(({ facts }) => facts.role === 'primary');
  const senders = primary?.facts.replication.senders ?? 0;
  if (standbys.length > 0) {
    return senders > standbys.length && configured === known.length
      ? warn(
          'standbys',
          `the primary feeds ${senders} standbys or backups, and ${standbys.length} are named`,
          'Name the others in DATABASE_URL or POSTGRES_HOST too: an unnamed standby serves no ' +
            'reads, and is not found when it becomes the primary.',
          'select application_name, client_addr, state from pg_stat_replication;',
        )
      : ok('standbys', `${standbys.length} of ${configured} nodes`);
  }
  if (configured > 1) {
    return warn(
      'standbys',
      'no standby answered',
      'Until one does all reads go to the primary, and nobody can take its place. Mend the nodes ' +
        'above.',
    );
  }
  const { host, port } = primary?.node ?? { host: '<primary>', port: 5432 };
  const named =
    `DATABASE_URL='postgres://${encodeURIComponent(login.user)}:...@${host}:${port},` +
    `<standby>:5432/${encodeURIComponent(login.database)}'`;
  if (senders > 0) {
    return warn(
      'standbys',
      'the primary has a standby, but it is not named',
      'It serves no reads, and is not found when it becomes the primary. Name it beside the ' +
        'primary in DATABASE_URL or POSTGRES_HOST:',
      named,
    );
  }
  return warn(
    'standbys',
    'there is no standby',
    'When this server stops, reads and writes stop; when its disk is lost, so is the data. Make ' +
      'a standby on another machine, and name it beside the primary in DATABASE_URL or ' +
      'POSTGRES_HOST:',
    `pg_basebackup -h ${host} -p ${port} -U <replication role> -D <data folder> -R -X stream`,
    named,
  );
}
