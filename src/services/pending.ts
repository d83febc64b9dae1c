/** Handlers that are not there yet. */

import { StowageError } from '../errors.js';

/** Each answers UNIMPLEMENTED. */
export function pending(names: readonly string[]): never {
  const refuse = () => {
    throw new StowageError('UNIMPLEMENTED');
  };
  return Object.fromEntries(names.map((name) => [name, refuse])) as never;
}
