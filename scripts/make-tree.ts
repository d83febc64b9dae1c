/**
 * Makes a directory tree to try `stowage scan` on: `npx tsx scripts/make-tree.ts DIR [FILES]
 * [SEED]`.
 */

import { makeTree } from '../test/support/make-tree.js';

const [directory, files = '25000', seed = '1'] = process.argv.slice(2);
if (directory === undefined) {
  console.error('usage: tsx scripts/make-tree.ts DIR [FILES] [SEED]');
  process.exitCode = 2;
} else {
  const tree = await makeTree(directory, { files: Number(files), seed: Number(seed) });
  console.log(`${tree.files.size} files in ${tree.root}, seed ${seed}`);
}
