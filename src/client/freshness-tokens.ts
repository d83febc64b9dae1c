/**
 * The newest freshness token of each project, so that a program reads what it wrote, on whichever
 * node. Tokens are compared, for answers of calls that ran at once come in any order.
 */

import { laterTokenText } from '../lib/token-layout.js';

/** Projects that are remembered one by one. */
const projectsMax = 10_000;

/** Remembers tokens; bounded. */
export class FreshnessTokens {
  readonly #projects = new Map<string, string>();
  /** Over all projects, for calls that are of none, such as a list of them; empty: none. */
  #newest = '';
  /** Over the projects that had to be forgotten; empty: none. */
  #floor = '';

  /** What a read of the project must be as fresh as; undefined: of no project. */
  get(project: string | undefined): string | undefined {
    const seen = project === undefined ? this.#newest : this.#projects.get(project);
    return seen || this.#floor || undefined;
  }

  /** Takes a token that came with an answer, where it is newer than what is known. */
  saw(project: string | undefined, text: string): void {
    if (text === '' || text === this.get(project)) return;
    this.#newest = laterTokenText(this.#newest, text);
    if (project === undefined) return;
    const known = this.#projects.get(project);
    // Put behind all others, so that the first one is the one unchanged for longest.
    this.#projects.delete(project);
    // An answer that is older than what was forgotten of the project must not lead back to it.
    this.#projects.set(project, laterTokenText(known ?? this.#floor, text));
    const [oldest] = this.#projects;
    if (this.#projects.size <= projectsMax || oldest === undefined) return;
    this.#projects.delete(oldest[0]);
    this.#floor = laterTokenText(this.#floor, oldest[1]);
  }

  /** Forgets a token that the service has refused: else every read after it would fail too. */
  drop(text: string): void {
    for (const [project, seen] of this.#projects) {
      if (seen === text) this.#projects.delete(project);
    }
    if (this.#newest === text) this.#newest = '';
    if (this.#floor === text) this.#floor = '';
  }
}
