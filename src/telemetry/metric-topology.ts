/** How the nodes, their pools and the router are told, of a look at the topology. */

import type { Observers } from './metric-instruments.js';
import { type LabelValue, labelTable } from './metric-labels.js';

/** What is read of a pool, of a room that this one may not import. */
interface PoolLook {
  readonly size: number;
  readonly idle: number;
  readonly waiting: number;
  readonly sizeMax: number;
  readonly acquires: number;
  readonly acquireMs: number;
  readonly timeouts: number;
  readonly refusals: number;
}

/** What is read of a node. */
interface NodeLook {
  readonly name: string;
  readonly state: LabelValue<'stowage.state'>;
  readonly timeline: number | undefined;
  readonly lagMs: number | undefined;
  readonly lagBytes: bigint | undefined;
  readonly isDrained: boolean;
  readonly pools: Readonly<Record<LabelValue<'stowage.pool'>, PoolLook>>;
}

/** What is read of the topology. */
export interface TopologyLook {
  readonly nodes: readonly NodeLook[];
  readonly primary: string | undefined;
  readonly epoch: number;
  readonly hasPrimary: boolean;
  readonly canRead: boolean;
}

interface Look {
  readonly topology: TopologyLook;
}

type NodeName =
  | 'stowage.node.state'
  | 'stowage.node.primary'
  | 'stowage.node.timeline'
  | 'stowage.node.lag.bytes'
  | 'stowage.node.lag.seconds'
  | 'stowage.node.drained'
  | 'stowage.router.epoch'
  | 'stowage.router.can_read'
  | 'stowage.router.can_write';

type PoolName =
  | 'db.client.connection.count'
  | 'db.client.connection.max'
  | 'db.client.connection.pending_requests'
  | 'db.client.connection.timeouts'
  | 'stowage.pool.acquires'
  | 'stowage.pool.acquire'
  | 'stowage.pool.refusals';

type TellOfNode = (value: number, labels: { 'stowage.node': string }) => void;

/** Tells a figure of each node; none of one that has it not. */
function ofNodes(figure: (node: NodeLook, topology: TopologyLook) => number | undefined) {
  return ({ topology }: Look, tell: TellOfNode) => {
    for (const node of topology.nodes) {
      const value = figure(node, topology);
      if (value !== undefined) tell(value, { 'stowage.node': node.name });
    }
  };
}

interface PoolLabels {
  readonly 'stowage.node': string;
  readonly 'stowage.pool': LabelValue<'stowage.pool'>;
}

/** Tells a figure of each pool of each node. */
function ofPools(figure: (pool: PoolLook) => number) {
  return (look: Look, tell: (value: number, labels: PoolLabels) => void) => {
    eachPool(look, (pool, labels) => tell(figure(pool), labels));
  };
}

function eachPool({ topology }: Look, take: (pool: PoolLook, labels: PoolLabels) => void): void {
  for (const { name, pools } of topology.nodes) {
    for (const pool of labelTable['stowage.pool'].values) {
      take(pools[pool], { 'stowage.node': name, 'stowage.pool': pool });
    }
  }
}

/** How a look at the nodes is told. */
export const nodeObservers: Pick<Observers<Look>, NodeName> = {
  'stowage.node.state': ({ topology }, tell) => {
    for (const { name, state } of topology.nodes) {
      for (const each of labelTable['stowage.state'].values) {
        tell(Number(each === state), { 'stowage.node': name, 'stowage.state': each });
      }
    }
  },
  'stowage.node.primary': ofNodes(({ name }, { primary }) => Number(name === primary)),
  'stowage.node.timeline': ofNodes(({ timeline }) => timeline),
  'stowage.node.lag.bytes': ofNodes(({ lagBytes }) =>
    lagBytes === undefined ? undefined : Number(lagBytes),
  ),
  'stowage.node.lag.seconds': ofNodes(({ lagMs }) =>
    lagMs === undefined ? undefined : lagMs / 1000,
  ),
  'stowage.node.drained': ofNodes(({ isDrained }) => Number(isDrained)),
  'stowage.router.epoch': ({ topology: { epoch } }, tell) => tell(epoch, {}),
  'stowage.router.can_read': ({ topology: { canRead } }, tell) => tell(Number(canRead), {}),
  'stowage.router.can_write': ({ topology: { hasPrimary } }, tell) => tell(Number(hasPrimary), {}),
};

/** How a look at the pools is told. */
export const poolObservers: Pick<Observers<Look>, PoolName> = {
  'db.client.connection.count': (look, tell) => {
    eachPool(look, ({ size, idle }, labels) => {
      tell(size - idle, { ...labels, 'db.client.connection.state': 'used' });
      tell(idle, { ...labels, 'db.client.connection.state': 'idle' });
    });
  },
  'db.client.connection.max': ofPools(({ sizeMax }) => sizeMax),
  'db.client.connection.pending_requests': ofPools(({ waiting }) => waiting),
  'db.client.connection.timeouts': ofPools(({ timeouts }) => timeouts),
  'stowage.pool.acquires': ofPools(({ acquires }) => acquires),
  'stowage.pool.acquire': ofPools(({ acquireMs }) => acquireMs / 1000),
  'stowage.pool.refusals': ofPools(({ refusals }) => refusals),
};
