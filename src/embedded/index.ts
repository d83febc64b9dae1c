/**
 * A real PostgreSQL primary and standbys from npm packages, for development and tests. Refuses to
 * be a production database: it listens on loopback only and its standbys share the machine.
 */
export { EmbeddedCluster } from './cluster.js';
export { keptKey } from './kept-key.js';
export { EmbeddedNode } from './node.js';
export { type ClusterOptions, removeCluster, startCluster } from './start-cluster.js';
