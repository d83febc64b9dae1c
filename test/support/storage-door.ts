/** A gRPC door over handlers of the test's own, for what a real service seldom answers. */

import { StorageService } from '../../gen/stowage/v1/storage_service_pb.js';
import { parseConfig } from '../../src/config.js';
import { StowageError } from '../../src/errors.js';
import { openGrpcDoor } from '../../src/server/grpc.js';
import { Pipeline } from '../../src/server/pipeline.js';
import { defineService, type Handlers } from '../../src/services/handler.js';

/** Some of the handlers; the others answer UNIMPLEMENTED. */
export type SomeHandlers = Partial<Handlers<typeof StorageService>>;

/** An open door. */
export interface StorageDoor extends AsyncDisposable {
  /** `127.0.0.1:port`. */
  readonly address: string;
}

function unasked(): never {
  throw new StowageError('UNIMPLEMENTED');
}

/** Opens a door on a free port. */
export async function openStorageDoor(handlers: SomeHandlers): Promise<StorageDoor> {
  const { server: standard } = parseConfig({});
  const server = { ...standard, grpcAddress: { host: '127.0.0.1', port: 0 } };
  const all = {
    ...Object.fromEntries(StorageService.methods.map(({ localName }) => [localName, unasked])),
    ...handlers,
  } as unknown as Handlers<typeof StorageService>;
  const service = defineService(StorageService, all);
  const door = await openGrpcDoor(server, [service], new Pipeline(server));
  return {
    address: `127.0.0.1:${door.address.port}`,
    [Symbol.asyncDispose]: async () => {
      await door.close();
    },
  };
}
