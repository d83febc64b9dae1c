/** The rows of the table of metrics about pools, nodes and the router. */

import type { Metric } from './metric.js';

/** Connections, by node and pool. */
export const poolMetrics = {
  'db.client.connection.count': {
    instrument: 'observableGauge',
    unit: '{connection}',
    labels: ['stowage.node', 'stowage.pool', 'db.client.connection.state'],
    help: 'Connections to a node that are open or being opened.',
    action: 'See the calls that wait.',
  },
  'db.client.connection.max': {
    instrument: 'observableGauge',
    unit: '{connection}',
    labels: ['stowage.node', 'stowage.pool'],
    help: 'How many connections the pool may have.',
    action: 'A share of POSTGRES_MAX_CONN.',
  },
  'db.client.connection.pending_requests': {
    instrument: 'observableGauge',
    unit: '{request}',
    labels: ['stowage.node', 'stowage.pool'],
    help: 'Calls that wait for a connection.',
    action: 'Above 0 for long: the node is slow, or POSTGRES_MAX_CONN is low for the load.',
  },
  'db.client.connection.timeouts': {
    instrument: 'observableCounter',
    unit: '{timeout}',
    labels: ['stowage.node', 'stowage.pool'],
    help: 'Calls that waited for a connection as long as they may.',
    action: 'As for those that wait; callers were told OVERLOADED.',
  },
  'stowage.pool.acquires': {
    instrument: 'observableCounter',
    unit: '{acquire}',
    labels: ['stowage.node', 'stowage.pool'],
    help: 'Connections that were lent to calls.',
    action: 'A standby that gets none is not fresh enough, or drained: see its lag and state.',
  },
  'stowage.pool.acquire': {
    instrument: 'observableCounter',
    unit: 's',
    labels: ['stowage.node', 'stowage.pool'],
    help: 'How long calls waited for these, connecting included, all together.',
    action: 'Divide by the acquires; above some ms the pool is too small or connecting is slow.',
  },
  'stowage.pool.refusals': {
    instrument: 'observableCounter',
    unit: '{refusal}',
    labels: ['stowage.node', 'stowage.pool'],
    help: 'Calls that found the line for a connection full.',
    action: 'Overload: callers were told OVERLOADED with a delay. See STOWAGE_QUEUE_MAX.',
  },
} as const satisfies Readonly<Record<string, Metric>>;

/** The nodes, and what the router makes of them. */
export const clusterMetrics = {
  'stowage.node.state': {
    instrument: 'observableGauge',
    unit: '',
    labels: ['stowage.node', 'stowage.state'],
    help: '1 for the state that the node is in, 0 for every other.',
    action: '`unreachable`: see the node. `fenced`: rebuild it; the log says why it is.',
  },
  'stowage.node.primary': {
    instrument: 'observableGauge',
    unit: '',
    labels: ['stowage.node'],
    help: '1 for the node that takes writes, 0 for every other.',
    action: 'Its sum is 0: nothing can be written; see the manager of the cluster.',
  },
  'stowage.node.timeline': {
    instrument: 'observableGauge',
    unit: '',
    labels: ['stowage.node'],
    help: 'The timeline of the node’s history; none where it is not known.',
    action: 'A node below the others follows a former primary: repoint or rebuild it.',
  },
  'stowage.node.lag.bytes': {
    instrument: 'observableGauge',
    unit: 'By',
    labels: ['stowage.node'],
    help: 'Write-ahead log that the node has not replayed; none where nobody can tell.',
    action: 'Growing: replication stands or replay is slow; see pg_stat_replication.',
  },
  'stowage.node.lag.seconds': {
    instrument: 'observableGauge',
    unit: 's',
    labels: ['stowage.node'],
    help: 'How old what the node shows may be; none where nobody can tell.',
    action: 'Over 10 s reads go elsewhere unless they ask for `eventual`; as for the bytes.',
  },
  'stowage.node.drained': {
    instrument: 'observableGauge',
    unit: '',
    labels: ['stowage.node'],
    help: '1 where a command keeps calls away from the node.',
    action: '`stowage topology undrain` when the maintenance is done.',
  },
  'stowage.router.epoch': {
    instrument: 'observableGauge',
    unit: '',
    labels: [],
    help: 'How many primaries and timelines this server has taken since its start.',
    action: 'Rises at each failover; each server counts for itself.',
  },
  'stowage.router.transitions': {
    instrument: 'counter',
    unit: '{transition}',
    labels: ['stowage.node', 'stowage.from', 'stowage.to'],
    help: 'Changes of nodes’ states.',
    action: 'A node that comes and goes: its host or the network; the log has each with its cause.',
  },
  'stowage.router.failovers': {
    instrument: 'counter',
    unit: '{failover}',
    labels: [],
    help: 'Times that another node became the primary than was it before.',
    action: 'Unplanned: find out what became of the former primary, and rebuild it.',
  },
  'stowage.router.fallbacks': {
    instrument: 'counter',
    unit: '{read}',
    labels: [],
    help: 'Reads that the primary did because no standby was fresh enough, or up.',
    action: 'Many: standbys lag or are down, and the primary carries their load.',
  },
  'stowage.router.can_read': {
    instrument: 'observableGauge',
    unit: '',
    labels: [],
    help: '1 while some node can be read.',
    action: '0: every node is down or fenced; calls answer NO_NODE.',
  },
  'stowage.router.can_write': {
    instrument: 'observableGauge',
    unit: '',
    labels: [],
    help: '1 while writes can be taken.',
    action: '0: no primary; writes wait for one and then answer NO_PRIMARY.',
  },
  'stowage.history.failures': {
    instrument: 'counter',
    unit: '{failure}',
    labels: [],
    help: 'Times that a node’s history could not be recorded; it is tried at each probe.',
    action: 'The primary refuses writes of the service, or is full: the log has the cause.',
  },
} as const satisfies Readonly<Record<string, Metric>>;
