/** The secret of a hook, from a file or standard input: other users see a command line. */

import { readFile } from 'node:fs/promises';
import type { Shell } from '../output.js';

/** More is no secret, but a wrong file. */
const bytesMax = 4096;

async function readAll(input: AsyncIterable<string | Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of input) {
    chunks.push(Buffer.from(chunk));
    bytes += chunk.length;
    if (bytes > bytesMax) break;
  }
  return Buffer.concat(chunks).toString();
}

/**
 * Reads a secret without the end of its line; `-` is standard input.
 * @throws {Error} where it cannot be read, is empty, or too long for one
 */
export async function readSecret(file: string, { stdin }: Shell): Promise<string> {
  const text = file === '-' ? await readAll(stdin) : await readFile(file, 'utf8');
  const secret = text.replace(/\r?\n$/, '');
  if (secret === '') throw new Error('the secret is empty: to take it away is --no-secret');
  if (Buffer.byteLength(text) > bytesMax) throw new Error('the secret is longer than any may be');
  return secret;
}
