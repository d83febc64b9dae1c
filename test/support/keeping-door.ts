/** `stowage versions`, `version`, `audit` and `hooks`, over a door whose handlers a test brings. */

import type { DescService } from '@bufbuild/protobuf';
import { auditCommand } from '../../src/cli/audit.js';
import { hooksCommand } from '../../src/cli/hooks.js';
import type { Shell } from '../../src/cli/output.js';
import { versionCommand } from '../../src/cli/version.js';
import { versionsCommand } from '../../src/cli/versions.js';
import { AuditService, HookService, VersionService } from '../../src/client/index.js';
import type { Handlers } from '../../src/services/handler.js';
import { serviceOf } from './admin-door.js';
import { type Ran, runCommand, type Surroundings } from './shell.js';
import { type OpenDoor, openDoorOver } from './storage-door.js';

/** What a test answers; everything else is UNIMPLEMENTED. */
export type KeepingHandlers = Partial<Handlers<typeof VersionService>> &
  Partial<Handlers<typeof AuditService>> &
  Partial<Handlers<typeof HookService>>;

const commands = {
  versions: versionsCommand,
  version: versionCommand,
  audit: auditCommand,
  hooks: hooksCommand,
};

/** A command's name and its arguments. */
export type KeepingLine = readonly [name: keyof typeof commands, ...args: string[]];

/** Opens a door over these handlers. */
export function openKeepingDoor(handlers: KeepingHandlers): Promise<OpenDoor> {
  const of = ({ methods }: DescService) => {
    const own = methods.filter(({ localName }) => Object.hasOwn(handlers, localName));
    const all: Readonly<Record<string, unknown>> = { ...handlers };
    return Object.fromEntries(own.map(({ localName }) => [localName, all[localName]]));
  };
  return openDoorOver([
    serviceOf(VersionService, of(VersionService)),
    serviceOf(AuditService, of(AuditService)),
    serviceOf(HookService, of(HookService)),
  ]);
}

/** Runs a command against a server, in this process. */
export function runKeepingAt(
  server: string,
  [name, ...args]: KeepingLine,
  surroundings?: Surroundings,
): Promise<Ran> {
  return runCommand((shell: Shell) => commands[name]({ server }, shell), args, surroundings);
}

/** Runs a command against these handlers. */
export async function runKeeping(
  handlers: KeepingHandlers,
  line: KeepingLine,
  surroundings?: Surroundings,
): Promise<Ran> {
  await using door = await openKeepingDoor(handlers);
  return await runKeepingAt(door.address, line, surroundings);
}
