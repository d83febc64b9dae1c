/** Everything a program needs of a Stowage service, over one connection. */

import type { Client } from '@connectrpc/connect';
import { AdminService } from '../../gen/stowage/v1/admin_service_pb.js';
import { AuditService } from '../../gen/stowage/v1/audit_service_pb.js';
import { ClusterService } from '../../gen/stowage/v1/cluster_service_pb.js';
import { HookService } from '../../gen/stowage/v1/hook_service_pb.js';
import { ProjectService } from '../../gen/stowage/v1/project_service_pb.js';
import { StorageService } from '../../gen/stowage/v1/storage_service_pb.js';
import { VersionService } from '../../gen/stowage/v1/version_service_pb.js';
import { createClient } from './client.js';
import type { TransportOptions } from './options.js';
import { createTransport, type StowageTransport } from './transport.js';

/** The services, and the connection that carries them. */
export interface Stowage
  extends AsyncDisposable,
    Pick<StowageTransport, 'state' | 'onStateChange' | 'ready' | 'close'> {
  /** Objects. */
  readonly storage: Client<typeof StorageService>;
  /** Versions of objects. */
  readonly versions: Client<typeof VersionService>;
  /** The audit trail. */
  readonly audit: Client<typeof AuditService>;
  /** Hooks and their executions. */
  readonly hooks: Client<typeof HookService>;
  /** Projects. */
  readonly projects: Client<typeof ProjectService>;
  /** The database nodes behind the server. */
  readonly cluster: Client<typeof ClusterService>;
  /** What operators look at and look after. */
  readonly admin: Client<typeof AdminService>;
  /** For `createClient` with another service of the same server. */
  readonly transport: StowageTransport;
}

/**
 * Makes the clients. Nothing is connected before the first call or `ready()`. An open client that
 * has no call running does not keep the process alive.
 *
 * @throws {TypeError} where the endpoints or the token cannot be used
 * @throws {RangeError} where a time is none
 */
export function createStowage(options: TransportOptions): Stowage {
  const transport = createTransport(options);
  return {
    storage: createClient(StorageService, transport),
    versions: createClient(VersionService, transport),
    audit: createClient(AuditService, transport),
    hooks: createClient(HookService, transport),
    projects: createClient(ProjectService, transport),
    cluster: createClient(ClusterService, transport),
    admin: createClient(AdminService, transport),
    transport,
    get state() {
      return transport.state;
    },
    onStateChange: (listener) => transport.onStateChange(listener),
    ready: (ready) => transport.ready(ready),
    close: () => transport.close(),
    async [Symbol.asyncDispose]() {
      transport.close();
    },
  };
}
