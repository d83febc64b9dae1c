/** Takes other nodes and a rotated password while the server runs; what is wrong is not taken. */

import { nodeName } from '../postgres/driver.js';
import type { Reloadable, RouterHandle } from '../postgres/router-handle.js';
import { publishReloadEnded } from '../telemetry/events.js';

/** Reloads one server's router, one time after the other. */
export class Reloader {
  readonly #router: RouterHandle;
  readonly #graceMs: number;
  #present: Reloadable;
  #last: Promise<void> = Promise.resolve();
  /** The one that has not begun to read, and so stands for whoever asks meanwhile. */
  #next: Promise<void> | undefined;

  /**
   * @param present what the router was made with.
   * @param graceMs how long calls may go on at nodes that are taken away.
   */
  constructor(router: RouterHandle, present: Reloadable, graceMs: number) {
    this.#router = router;
    this.#present = present;
    this.#graceMs = graceMs;
  }

  /**
   * Takes what `read` gives, and publishes what that changed, or why it was not taken. Never
   * rejects.
   */
  reload(read: () => Reloadable): Promise<void> {
    this.#next ??= this.#last.then(() => {
      this.#next = undefined;
      return this.#reload(read);
    });
    this.#last = this.#next;
    return this.#last;
  }

  async #reload(read: () => Reloadable): Promise<void> {
    try {
      const former = this.#present;
      const { nodes, password } = read();
      this.#present = { nodes, password };
      await this.#router.reload(this.#present, this.#graceMs);
      publishReloadEnded({
        added: namesBeside(nodes, former.nodes),
        removed: namesBeside(former.nodes, nodes),
        isPasswordChanged: password !== former.password,
        error: undefined,
      });
    } catch (error) {
      publishReloadEnded({ added: [], removed: [], isPasswordChanged: false, error });
    }
  }
}

function namesBeside(nodes: Reloadable['nodes'], others: Reloadable['nodes']): string[] {
  const known = new Set(others.map(nodeName));
  return nodes.map(nodeName).filter((name) => !known.has(name));
}
