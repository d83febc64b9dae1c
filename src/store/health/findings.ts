/**
 * The table of what health can find: how urgent it is, when it is found, and what to do. The page
 * docs/operations.md lists the same.
 */

/** `warning`: something will fail if nobody looks at it; `error`: something fails now. */
export type Severity = 'warning' | 'error';

interface FindingKind {
  readonly severity: Severity;
  /** When it is found; completes "Found when". */
  readonly when: string;
  /** What to do, in whole sentences. */
  readonly remedy: string;
}

const WARNING = 'warning';
const ERROR = 'error';

/** Every code, the most urgent of each severity first. */
export const findingKinds = {
  NO_NODE: {
    severity: ERROR,
    when: 'no node can be read: nothing is served',
    remedy: 'Start a node or mend the way to it; stowage doctor tells what is wrong.',
  },
  NO_PRIMARY: {
    severity: ERROR,
    when: 'no node takes writes',
    remedy: 'Have the manager of the cluster promote a standby: Stowage promotes nobody.',
  },
  COMMITS_HELD: {
    severity: ERROR,
    when: 'commits wait for a standby that does not follow the primary: no write ends',
    remedy: 'Bring it back, or take it out of synchronous_standby_names.',
  },
  NODE_UNREACHABLE: {
    severity: ERROR,
    when: 'a node refuses connections, loses them or is silent',
    remedy: 'Start it, mend the way to it, or take it out of the settings.',
  },
  NODE_FENCED: {
    severity: ERROR,
    when: 'a node is of another history or another cluster',
    remedy: 'Make it anew from the primary, or stop it: nothing is asked of it meanwhile.',
  },
  ARCHIVE_FAILING: {
    severity: ERROR,
    when: 'the last segment that was to be archived could not be',
    remedy: 'See the log of PostgreSQL for why; segments fill its disk until it is mended.',
  },
  NODE_NOT_ANSWERING: {
    severity: WARNING,
    when: 'a node that is there was asked of itself in vain for 5 s',
    remedy: 'See what keeps it busy, and whether its connections are used up.',
  },
  NO_STANDBY: {
    severity: WARNING,
    when: 'the settings name several nodes, and the primary alone can be read',
    remedy: 'Mend the others: reads have nowhere else to go, and nobody could be promoted.',
  },
  REPLICATION_LAGGING: {
    severity: WARNING,
    when: 'a standby is further behind than the default freshness allows',
    remedy: 'See whether it receives, whether its replay is paused, and what its disk does.',
  },
  REPLAY_PAUSED: {
    severity: WARNING,
    when: 'the replay of a standby is paused',
    remedy:
      'Run select pg_wal_replay_resume() on it; where its log says that a setting is too low, ' +
      'raise that and restart it.',
  },
  CONNECTIONS_NEARLY_USED: {
    severity: WARNING,
    when: 'nine tenths of the connections that ordinary roles may have are in use',
    remedy: 'Lower POSTGRES_MAX_CONN of each server, end what is idle, or raise max_connections.',
  },
  IDLE_IN_TRANSACTION: {
    severity: WARNING,
    when: 'a session has waited for its client inside a transaction for five minutes',
    remedy: 'End it: it keeps its locks, and keeps dead rows from being removed.',
  },
  POOL_EXHAUSTED: {
    severity: WARNING,
    when: 'a call has waited half a second because all connections of its pool are in use',
    remedy: 'Raise POSTGRES_MAX_CONN, add standbys, or find what holds them.',
  },
  SLOT_RETAINS_MUCH: {
    severity: WARNING,
    when: 'a replication slot keeps 10 GiB of the log or more from being removed',
    remedy: 'See why its reader is behind; drop the slot if nobody will come back for it.',
  },
  SLOT_INACTIVE: {
    severity: WARNING,
    when: 'a replication slot of the primary keeps log, and nobody reads from it',
    remedy: 'Start its reader, or drop the slot: the log that it keeps fills the disk.',
  },
  TRANSACTION_ID_OLD: {
    severity: WARNING,
    when:
      'a billion transactions, or groups that lock a row together, have passed since the oldest ' +
      'that must be told apart',
    remedy:
      'Let VACUUM FREEZE end: old transactions, prepared ones and slots hold it up. At two ' +
      'billion writes stop.',
  },
  AUTOVACUUM_OFF: {
    severity: WARNING,
    when: 'autovacuum or track_counts is off',
    remedy: 'Turn both on: tables grow, and in the end writes stop.',
  },
  AUTOVACUUM_BEHIND: {
    severity: WARNING,
    when: 'a table has five times the dead rows at which autovacuum takes it, and 100,000 or more',
    remedy:
      'End long transactions, or give autovacuum more to work with: ' +
      'autovacuum_vacuum_cost_limit, autovacuum_max_workers.',
  },
  LOW_CACHE_HIT: {
    severity: WARNING,
    when:
      'of a million blocks or more that were read in the last 10 to 20 minutes, a tenth came ' +
      'from outside of PostgreSQL',
    remedy: 'Raise shared_buffers, or find the statements that read much.',
  },
  EVENT_LOOP_SLOW: {
    severity: WARNING,
    when: 'timers of the server come 100 ms late or later, one in a hundred',
    remedy: 'Give the server more of a processor, or run more servers.',
  },
  SERVER_DRAINING: {
    severity: WARNING,
    when: 'the server stops',
    remedy: 'Nothing: callers are sent elsewhere.',
  },
} as const satisfies Readonly<Record<string, FindingKind>>;

/** What is found, for programs. */
export type FindingCode = keyof typeof findingKinds;

/** Something that a person should look at. */
export interface Finding {
  readonly code: FindingCode;
  readonly severity: Severity;
  /** Empty: it is about the server or the cluster. */
  readonly node: string;
  /** What was seen and what to do. */
  readonly message: string;
}

/** A finding; `seen` is a sentence without its full stop. */
export function finding(code: FindingCode, node: string, seen: string): Finding {
  const { severity, remedy } = findingKinds[code];
  return { code, severity, node, message: `${seen}. ${remedy}` };
}

/** The most urgent first; else as they were found. */
export function byUrgency(findings: readonly Finding[]): Finding[] {
  const ofSeverity = (severity: Severity) => findings.filter((each) => each.severity === severity);
  return [...ofSeverity('error'), ...ofSeverity('warning')];
}
