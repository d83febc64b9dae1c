/**
 * The newest freshness token of each project, so that a program reads what it wrote, on whichever
 * node. Tokens are compared, for answers of calls that ran at once come in any order.
 */

import { laterToken, parseSealed, parseTokenPayload, type Token } from '../lib/token-layout.js';

/** Projects that are remembered one by one. */
const projectsMax = 10_000;

interface Seen {
  readonly text: string;
  /** Undefined for a token of a form that is not known here. */
  readonly point: Token | undefined;
}

/** Remembers tokens; bounded. */
export class FreshnessTokens {
  readonly #projects = new Map<string, Seen>();
  /** Over all projects, for calls that are of none, such as a list of them. */
  #newest: Seen | undefined;
  /** Over the projects that had to be forgotten. */
  #floor: Seen | undefined;

  /** What a read of the project must be as fresh as; undefined: of no project. */
  get(project: string | undefined): string | undefined {
    const seen = project === undefined ? this.#newest : this.#projects.get(project);
    return (seen ?? this.#floor)?.text;
  }

  /** Takes a token that came with an answer, where it is newer than what is known. */
  saw(project: string | undefined, text: string): void {
    if (text === '' || text === this.get(project)) return;
    const seen: Seen = { text, point: pointOf(text) };
    this.#newest = later(this.#newest, seen);
    if (project === undefined) return;
    const known = this.#projects.get(project);
    // Put behind all others, so that the first one is the one unchanged for longest.
    this.#projects.delete(project);
    // An answer that is older than what was forgotten of the project must not lead back to it.
    this.#projects.set(project, later(known ?? this.#floor, seen));
    const [oldest] = this.#projects;
    if (this.#projects.size <= projectsMax || oldest === undefined) return;
    this.#projects.delete(oldest[0]);
    this.#floor = later(this.#floor, oldest[1]);
  }

  /** Forgets a token that the service has refused: else every read after it would fail too. */
  drop(text: string): void {
    for (const [project, seen] of this.#projects) {
      if (seen.text === text) this.#projects.delete(project);
    }
    if (this.#newest?.text === text) this.#newest = undefined;
    if (this.#floor?.text === text) this.#floor = undefined;
  }
}

function pointOf(text: string): Token | undefined {
  const sealed = parseSealed(text);
  return sealed && parseTokenPayload(sealed.payload);
}

/**
 * The later of what is known and what has come. Where they cannot be compared, being of two
 * clusters or of a form that is not known, the one that has come: it is of the cluster that serves.
 */
function later(known: Seen | undefined, come: Seen): Seen {
  const [a, b] = [known?.point, come.point];
  if (known === undefined || a === undefined || b === undefined) return come;
  if (a.systemIdentifier !== b.systemIdentifier) return come;
  return laterToken(a, b) === a ? known : come;
}
