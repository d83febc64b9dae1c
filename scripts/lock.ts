// `npm run lock`: completes package-lock.json after an install from a registry that lacks the
// platform packages of other machines. Without their entries `npm ci` refuses the lock.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { completeLock, type LockFile, missingPackages } from './lib/lock-file.js';

const path = join(import.meta.dirname, '..', 'package-lock.json');
const before = await readFile(path, 'utf8');
const lock = JSON.parse(before) as LockFile;
const after = `${JSON.stringify(completeLock(lock), null, 2)}\n`;
if (after !== before) await writeFile(path, after);
console.log(`package-lock.json: ${missingPackages(lock).length} entries added`);
