/**
 * Secrets of hooks, encrypted before they leave the process: a dump of the database, a standby or a
 * log of statements has nothing to sign with. Refuses to keep one without a key.
 */

import { createCipheriv, createHash, createHmac, randomBytes } from 'node:crypto';
import { invalidField, StowageError } from '../errors.js';

/** A secret as `hook_secrets` keeps it. */
export interface SealedSecret {
  /** Which key encrypted it. */
  readonly keyId: string;
  /** Nonce, ciphertext and tag. */
  readonly bytes: Uint8Array;
}

/** Which hook a secret is of. */
export interface SecretOwner {
  readonly project: string;
  readonly hookName: string;
}

const BYTES_MIN = 16;
const BYTES_MAX = 256;
const NONCE_BYTES = 12;
const KEY_ID_DIGITS = 16;

/** A secret that was asked for, and the key to keep it with. */
export interface NewSecret {
  readonly text: string;
  readonly key: Uint8Array;
}

/**
 * Checks a secret, and that there is a key for it; empty: there is none, and undefined is given.
 * @throws StowageError INVALID_REQUEST, SECRET_KEY_MISSING.
 */
export function newSecret(text: string, key: Uint8Array | undefined): NewSecret | undefined {
  if (text === '') return undefined;
  const bytes = Buffer.byteLength(text);
  if (bytes < BYTES_MIN || bytes > BYTES_MAX) {
    throw invalidField('hook.secret', `must be ${BYTES_MIN} to ${BYTES_MAX} bytes`);
  }
  if (key === undefined) throw new StowageError('SECRET_KEY_MISSING');
  return { text, key };
}

/**
 * Encrypts a secret with AES-256-GCM. What comes of it can be decrypted as that hook's only: who
 * writes the table cannot give one hook the secret of another.
 */
export function sealSecret({ text, key }: NewSecret, owner: SecretOwner): SealedSecret {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  cipher.setAAD(Buffer.from(JSON.stringify([owner.project, owner.hookName])));
  const ciphertext = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
  const keyId = createHash('sha256').update(key).digest('hex').slice(0, KEY_ID_DIGITS);
  return { keyId, bytes: Buffer.concat([nonce, ciphertext, cipher.getAuthTag()]) };
}

/**
 * What stands for a secret in the digest of its request, which the request log keeps. A plain hash
 * would let whoever reads that table try secrets out; this one cannot be computed without the key.
 */
export function secretMark(secret: NewSecret | undefined): string | null {
  if (secret === undefined) return null;
  return createHmac('sha256', secret.key).update('request\0').update(secret.text).digest('hex');
}
