/**
 * Follows a host's name: connections stay where they were made, and a name that has moved to
 * another server would be noticed only when the former one ends them.
 */

import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';

/** Every address of a name. @throws where there is none */
export type Lookup = (host: string) => Promise<readonly string[]>;

/** How long what a name leads to counts. */
const CHECK_INTERVAL_MS = 10_000;

const lookUpAll: Lookup = async (host) =>
  (await lookup(host, { all: true })).map(({ address }) => address);

/** One name. */
export class HostWatch {
  readonly #host: string;
  readonly #onAddresses: (addresses: ReadonlySet<string>) => void;
  readonly #lookUp: Lookup;
  readonly #isName: boolean;
  #checkedAtMs = Number.NEGATIVE_INFINITY;

  /** @param onAddresses told of all addresses at each check. */
  constructor(
    host: string,
    onAddresses: (addresses: ReadonlySet<string>) => void,
    lookUp: Lookup = lookUpAll,
  ) {
    this.#host = host;
    this.#onAddresses = onAddresses;
    this.#lookUp = lookUp;
    this.#isName = isIP(host) === 0;
  }

  /** A connection has failed: the next check is due at once. */
  doubt(): void {
    this.#checkedAtMs = Number.NEGATIVE_INFINITY;
  }

  /**
   * Looks the name up where that is due. Never throws: a name server that fails says nothing.
   * @returns undefined where nothing was learned; always so for an IP address.
   */
  async check(): Promise<ReadonlySet<string> | undefined> {
    const nowMs = performance.now();
    if (!this.#isName || nowMs - this.#checkedAtMs < CHECK_INTERVAL_MS) return undefined;
    this.#checkedAtMs = nowMs;
    try {
      const addresses = new Set(await this.#lookUp(this.#host));
      this.#onAddresses(addresses);
      return addresses;
    } catch {
      return undefined;
    }
  }
}
