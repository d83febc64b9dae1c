/** Statements on drained nodes; the probers of every server read the table. */

import { statement } from '../postgres/statement.js';

/** Drains a node; no row: it was drained. Parameters: node, principal. */
export const drainNode = statement<{ node: string }>({
  name: 'drain-node',
  intent: 'write',
  text: `
    insert into node_drains (node, drained_by)
    values ($1, $2)
    on conflict do nothing
    returning node`,
});

/** Undrains a node; no row: it was not drained. Parameters: node. */
export const undrainNode = statement<{ node: string }>({
  name: 'undrain-node',
  intent: 'write',
  text: 'delete from node_drains where node = $1 returning node',
});
