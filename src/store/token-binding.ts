/** What page and resume tokens are good for. */

import type { Call } from '../postgres/call.js';

/** A token is good for one method, project, caller and set of arguments. */
export function tokenBinding(call: Call, args: readonly string[]): string[] {
  return [call.method, call.project, call.principal, ...args];
}
