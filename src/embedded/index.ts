/**
 * A real PostgreSQL primary and standbys from npm packages, for development and tests. Refuses to
 * be a production database: it listens on loopback only and its standbys share the machine.
 */
export { EmbeddedCluster } from './cluster.js';
export { EmbeddedError, type EmbeddedReason } from './embedded-error.js';
export { EmbeddedNode, type NodeRole } from './node.js';
export { type ClusterOptions, removeCluster, STANDBYS_MAX, startCluster } from './start-cluster.js';
