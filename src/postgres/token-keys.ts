/** The keys that sign tokens: read from the database once, and again for an unknown key. */

import { StowageError } from '../errors.js';
import { parseSealed } from '../lib/token-layout.js';
import { type Sealer, sealWith, type TokenKey, verifySealed } from './sealed.js';

/** A token with an unknown key makes the keys be read again, at most once in this time. */
const RELOAD_INTERVAL_MS = 10_000;

/** The keys of one database. */
export class TokenKeys implements Sealer {
  readonly #load: () => Promise<readonly TokenKey[]>;
  #keys: ReadonlyMap<number, TokenKey> = new Map();
  #current: TokenKey | undefined;
  #loading: Promise<void> | undefined;
  #loadedAtMs = Number.NEGATIVE_INFINITY;

  /** @param load reads the keys in the order of their ids; the last one signs. */
  constructor(load: () => Promise<readonly TokenKey[]>) {
    this.#load = load;
  }

  /** The signing key if it is loaded already. */
  get loaded(): TokenKey | undefined {
    return this.#current;
  }

  /**
   * The key that signs.
   * @throws StowageError when the keys cannot be read; SCHEMA_MISMATCH when there is none.
   */
  async current(): Promise<TokenKey> {
    if (this.#current === undefined) await this.#reload();
    if (this.#current === undefined) {
      throw new StowageError('SCHEMA_MISMATCH', { message: 'The database has no token key.' });
    }
    return this.#current;
  }

  /** The key with an id; undefined where there is none. */
  async find(id: number): Promise<TokenKey | undefined> {
    const isStale = performance.now() - this.#loadedAtMs > RELOAD_INTERVAL_MS;
    if (!this.#keys.has(id) && isStale) await this.#reload();
    return this.#keys.get(id);
  }

  async seal(purpose: string, binding: readonly string[], payload: Uint8Array): Promise<string> {
    return sealWith(await this.current(), purpose, binding, payload);
  }

  async open(
    purpose: string,
    binding: readonly string[],
    token: string,
  ): Promise<Uint8Array | undefined> {
    const sealed = parseSealed(token);
    if (sealed === undefined) return undefined;
    const key = await this.find(sealed.keyId);
    if (key === undefined || !verifySealed(key, purpose, binding, sealed)) return undefined;
    return sealed.payload;
  }

  /** Callers that come meanwhile share one read. */
  #reload(): Promise<void> {
    this.#loading ??= this.#read().finally(() => {
      this.#loading = undefined;
    });
    return this.#loading;
  }

  async #read(): Promise<void> {
    const keys = await this.#load();
    this.#keys = new Map(keys.map((key) => [key.id, key]));
    this.#current = keys.at(-1);
    this.#loadedAtMs = performance.now();
  }
}
