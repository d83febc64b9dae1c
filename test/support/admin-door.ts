/** `stowage admin` in this process, over a door whose handlers a test brings. */

import type { DescService } from '@bufbuild/protobuf';
import { adminCommand } from '../../src/cli/admin.js';
import { AdminService, ClusterService } from '../../src/client/index.js';
import { StowageError } from '../../src/errors.js';
import { defineService, type Handlers } from '../../src/services/handler.js';
import { type Ran, runCommand, type Surroundings } from './shell.js';
import { type OpenDoor, openDoorOver } from './storage-door.js';

/** What a test answers; everything else is UNIMPLEMENTED. */
export type AdminHandlers = Partial<Handlers<typeof AdminService>> &
  Partial<Pick<Handlers<typeof ClusterService>, 'getHealth'>>;

/** A service of these handlers; everything else is UNIMPLEMENTED. */
export function serviceOf<Service extends DescService>(service: Service, own: object) {
  const unasked = () => {
    throw new StowageError('UNIMPLEMENTED');
  };
  const all = service.methods.map(({ localName }) => [localName, unasked]);
  const handlers = { ...Object.fromEntries(all), ...own } as unknown as Handlers<Service>;
  return defineService(service, handlers);
}

/** Opens a door over these handlers. */
export function openAdminDoor({ getHealth, ...own }: AdminHandlers): Promise<OpenDoor> {
  const ofCluster = getHealth === undefined ? {} : { getHealth };
  return openDoorOver([serviceOf(AdminService, own), serviceOf(ClusterService, ofCluster)]);
}

/** Runs the command against these handlers. */
export async function runAdmin(
  handlers: AdminHandlers,
  args: readonly string[],
  surroundings?: Surroundings,
): Promise<Ran> {
  await using door = await openAdminDoor(handlers);
  const server = door.address;
  return await runCommand((shell) => adminCommand({ server }, shell), args, surroundings);
}
