/** What a program needs to call a Stowage server; exported as `stowage/client`. */

export { type Client, Code, createClient } from '@connectrpc/connect';
export { ProjectService } from '../../gen/stowage/v1/project_service_pb.js';
export { StorageService } from '../../gen/stowage/v1/storage_service_pb.js';
export { CallError, lostConnection, toStowageError } from './call-error.js';
export {
  createTransport,
  parseAddress,
  type StowageTransport,
  type TransportOptions,
} from './transport.js';
