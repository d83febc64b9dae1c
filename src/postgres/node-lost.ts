/** Why a call has to leave a node through no fault of its own. */

/**
 * The router itself has ended a connection, or has sent a caller out of the line, because the node
 * has fallen silent, is fenced or was taken from the settings. That is known of the node already:
 * it is no evidence, and what changes nothing is done elsewhere.
 */
export class NodeLost extends Error {
  override readonly name = 'NodeLost';

  constructor(node: string) {
    super(`${node} is given up: it is silent, fenced or no node any more`);
  }
}
