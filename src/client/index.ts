/**
 * What a program needs to call a Stowage server; exported as `stowage/client`. The messages, enums
 * and schemas of the contract come with it.
 */

export { type CallOptions, type Client, Code, type Interceptor } from '@connectrpc/connect';
export * from '../../gen/stowage/v1/admin_maintenance_pb.js';
export * from '../../gen/stowage/v1/admin_report_pb.js';
export * from '../../gen/stowage/v1/admin_service_pb.js';
export * from '../../gen/stowage/v1/audit_append_pb.js';
export * from '../../gen/stowage/v1/audit_pb.js';
export * from '../../gen/stowage/v1/audit_read_pb.js';
export * from '../../gen/stowage/v1/audit_retention_pb.js';
export * from '../../gen/stowage/v1/audit_service_pb.js';
export * from '../../gen/stowage/v1/audit_trail_pb.js';
export * from '../../gen/stowage/v1/change_pb.js';
export * from '../../gen/stowage/v1/cluster_pb.js';
export * from '../../gen/stowage/v1/cluster_service_pb.js';
export * from '../../gen/stowage/v1/error_reason_pb.js';
export * from '../../gen/stowage/v1/freshness_pb.js';
export * from '../../gen/stowage/v1/health_pb.js';
export * from '../../gen/stowage/v1/hook_execution_pb.js';
export * from '../../gen/stowage/v1/hook_manage_pb.js';
export * from '../../gen/stowage/v1/hook_pb.js';
export * from '../../gen/stowage/v1/hook_service_pb.js';
export * from '../../gen/stowage/v1/project_pb.js';
export * from '../../gen/stowage/v1/project_service_pb.js';
export * from '../../gen/stowage/v1/storage_list_pb.js';
export * from '../../gen/stowage/v1/storage_move_pb.js';
export * from '../../gen/stowage/v1/storage_object_pb.js';
export * from '../../gen/stowage/v1/storage_purge_pb.js';
export * from '../../gen/stowage/v1/storage_read_pb.js';
export * from '../../gen/stowage/v1/storage_record_pb.js';
export * from '../../gen/stowage/v1/storage_report_pb.js';
export * from '../../gen/stowage/v1/storage_search_pb.js';
export * from '../../gen/stowage/v1/storage_service_pb.js';
export * from '../../gen/stowage/v1/storage_update_pb.js';
export * from '../../gen/stowage/v1/stream_pb.js';
export * from '../../gen/stowage/v1/version_pb.js';
export * from '../../gen/stowage/v1/version_prune_pb.js';
export * from '../../gen/stowage/v1/version_read_pb.js';
export * from '../../gen/stowage/v1/version_service_pb.js';
export * from '../../gen/stowage/v1/version_write_pb.js';
export { CallError, lostConnection, toStowageError } from './call-error.js';
export { createClient } from './client.js';
export type { ConnectionState, ReadyOptions, StateListener } from './connection.js';
export { parseAddress } from './endpoints.js';
export { itemBytesOf } from './item-bytes.js';
export type { TlsOptions, TransportOptions } from './options.js';
export { createStowage, type Stowage } from './stowage.js';
export { createTransport, type StowageTransport } from './transport.js';
