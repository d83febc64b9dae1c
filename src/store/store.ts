/** What the functions of this room work on. */

import type { Router } from '../postgres/router-api.js';
import type { Sealer } from '../postgres/sealed.js';

/** The database, and the maker of page and resume tokens. */
export interface Store {
  readonly router: Router;
  readonly sealer: Sealer;
}
