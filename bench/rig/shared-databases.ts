/** Databases that several lanes of a run read: filled once, ended with the run. */

import type { BenchDatabase } from './database.js';

/** A database by name, made by whoever asks first. */
export class SharedDatabases {
  readonly #databases = new Map<string, Promise<BenchDatabase>>();

  /** The database of that name; `make` starts and fills it where it is not there. */
  get(name: string, make: () => Promise<BenchDatabase>): Promise<BenchDatabase> {
    const made = this.#databases.get(name) ?? make();
    this.#databases.set(name, made);
    return made;
  }

  /** Stops all of them; one that could not be made was ended by its maker. */
  async close(): Promise<void> {
    const made = await Promise.allSettled(this.#databases.values());
    this.#databases.clear();
    for (const outcome of made) if (outcome.status === 'fulfilled') await outcome.value.stop();
  }
}
