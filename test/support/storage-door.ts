/** A gRPC door over handlers of the test's own, for what a real service seldom answers. */

import { StorageService } from '../../gen/stowage/v1/storage_service_pb.js';
import { parseConfig } from '../../src/config.js';
import { openGrpcDoor } from '../../src/server/grpc.js';
import { Pipeline } from '../../src/server/pipeline.js';
import { defineService, type ServiceDefinition } from '../../src/services/handler.js';
import { type StorageHandlers, unaskedHandlers } from './doors.js';

/** An open door. */
export interface OpenDoor extends AsyncDisposable {
  /** `127.0.0.1:port`. */
  readonly address: string;
}

/** Opens a door on a free port; handlers that are not given answer UNIMPLEMENTED. */
export function openStorageDoor(handlers: StorageHandlers): Promise<OpenDoor> {
  return openDoorOver([defineService(StorageService, { ...unaskedHandlers, ...handlers })]);
}

/** Opens a door over these services on a free port. */
export async function openDoorOver(services: readonly ServiceDefinition[]): Promise<OpenDoor> {
  const { server: standard } = parseConfig({});
  const server = { ...standard, grpcAddress: { host: '127.0.0.1', port: 0 } };
  const door = await openGrpcDoor(server, services, new Pipeline(server));
  return {
    address: `127.0.0.1:${door.address.port}`,
    [Symbol.asyncDispose]: async () => {
      await door.close();
    },
  };
}
