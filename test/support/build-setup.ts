/**
 * Builds the program once for all projects of a run whose files start it: from its sources each
 * start would take twice the CPU, and builds side by side would write what others read.
 */
import { buildProgram } from './program.js';

// Each project loads this module afresh, so what they share hangs on the global object.
const registry = globalThis as typeof globalThis & { stowageBuild?: Promise<void> };

/** Resolves once `dist` has the program; throws what the compiler says. */
export async function setup(): Promise<void> {
  registry.stowageBuild ??= buildProgram();
  await registry.stowageBuild;
}
